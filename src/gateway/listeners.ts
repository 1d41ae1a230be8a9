/**
 * The listeners of a gateway: opened all or none, kept over a reload where they did not change, and let go of in good order. Each
 * knows the pipeline that serves its requests: with another configuration another one.
 */
import { type Engine, type EngineEvents, ListenError, type Listening } from '../engine/engine.ts';
import type { CertificateStore } from '../tls/serving/store.ts';
import { type ListenerSpec, planListeners } from './listener-plan.ts';

type Serve = EngineEvents['exchange'];

/** A listener as a configuration has it, with what serves its requests. */
export interface WantedListener extends ListenerSpec {
  readonly serve: Serve;
}

/** What a listener needs before it can be opened. */
export interface ListenerResources {
  readonly engine: Engine;
  readonly store: CertificateStore | undefined;
}

/** A listener at work. */
export interface OpenListener {
  listen: ListenerSpec['listen'];
  readonly admin: boolean;
  readonly deflates: boolean;
  readonly port: number | undefined;
  readonly resources: ListenerResources;
  readonly listening: Listening;
  /** Largest message that it was opened for, bytes. */
  readonly maxMessage: number;
  /** Serves the next request. */
  serve: Serve;
}

/** How one listener is opened; `listener-opener.ts` is the real one. */
export interface ListenerOpener {
  /** Rejects with a `TlsError`. */
  prepare(spec: ListenerSpec): Promise<ListenerResources>;
  /** Reads other certificates. Rejects with a `TlsError`; otherwise resolves with what puts them in force. */
  otherTls(store: CertificateStore, spec: ListenerSpec): Promise<() => void>;
  /** Rejects with a `ListenError`. */
  open(
    spec: ListenerSpec,
    resources: ListenerResources,
    serve: Serve,
    /** Open at the same place: it hands its socket on. */
    inPlaceOf: Listening | undefined,
  ): Promise<Pick<OpenListener, 'listening' | 'maxMessage'>>;
  release(store: CertificateStore): void;
  /** It accepts nothing any more, and no other one has its name. */
  gone(name: string): void;
  /** It had to be closed, and could not be opened again. */
  lost(error: unknown): void;
}

/** Listeners that are open for a configuration that is not in force yet. */
export interface PreparedListeners {
  readonly added: readonly OpenListener[];
  /** Those that have taken the place of others, or serve other certificates. */
  readonly changed: readonly OpenListener[];
  /** Those whose place nobody has taken. */
  readonly removed: readonly OpenListener[];
  readonly kept: readonly OpenListener[];
  /** From here on they are the gateway's. Those that are gone get so many milliseconds for their connections. */
  commit(patience: number): void;
}

/** How long an address that is in use may take to become free, and how often it is tried meanwhile. Milliseconds. */
const ADDRESS_TIME = 1000;
const ADDRESS_LOOK = 50;

const serveNobody: Serve = () => undefined;

export class Listeners {
  private listeners: readonly OpenListener[] = [];
  /** Those that accept no more, and may still have connections. */
  private readonly leaving = new Set<Listening>();
  /** Sockets of systemd that were closed: nobody hands them over again. */
  private readonly givenBack = new Set<string>();

  constructor(private readonly opener: ListenerOpener) {}

  /** In the configuration's order. */
  get open(): readonly OpenListener[] {
    return this.listeners;
  }

  /** Those that are being let go of, too. */
  get all(): readonly Listening[] {
    return [...this.listeners.map(({ listening }) => listening), ...this.leaving];
  }

  /**
   * Opens what is wanted and not there. One that is in the very same place hands its socket on; one that is only in the way is closed
   * first, after everything else is open.
   * Rejects with a `ListenError` or a `TlsError`; then everything is as it was.
   */
  async prepare(wanted: readonly WantedListener[]): Promise<PreparedListeners> {
    const plan = planListeners(this.listeners, wanted);
    const undo: (() => void | Promise<void>)[] = [];
    const listeners = new Map<WantedListener, OpenListener>(plan.kept);
    const tls: (() => void)[] = [];
    /** Those that accept no more. */
    const stopped = new Set<OpenListener>();
    try {
      for (const { open: listener, wanted: want } of plan.otherTls) {
        const { store } = listener.resources;
        if (store !== undefined) tls.push(await this.opener.otherTls(store, want));
      }
      const resources = new Map<WantedListener, ListenerResources>();
      for (const { wanted: want } of plan.opening) {
        const made = await this.prepareOne(want);
        resources.set(want, made);
        undo.push(() => this.release(made));
      }
      for (const { wanted: want, inTheWay, before } of plan.opening) {
        for (const old of inTheWay) {
          if (old === before || stopped.has(old)) continue;
          stopped.add(old);
          old.listening.stop();
          undo.push(() => this.reopen(old, undefined));
        }
        const made = resources.get(want);
        if (made === undefined) continue;
        const from = before !== undefined && !stopped.has(before) ? before : undefined;
        const listener = await this.openOne(want, made, from?.listening);
        if (from !== undefined) stopped.add(from);
        listeners.set(want, listener);
        undo.push(() => (from === undefined ? listener.listening.close() : this.handBack(listener, from)));
      }
    } catch (error) {
      // Backwards: what has taken a place leaves it before the old one comes back.
      for (const step of undo.reverse()) await step();
      for (const { wanted: want } of plan.opening) this.forget(want.listen.address.text);
      throw error;
    }
    const replaced = new Set(plan.opening.flatMap(({ inTheWay }) => inTheWay));
    const opened = (where: (inTheWay: readonly OpenListener[]) => boolean): readonly OpenListener[] =>
      plan.opening.flatMap((each) => (where(each.inTheWay) ? (listeners.get(each.wanted) ?? []) : []));
    return {
      added: opened((inTheWay) => inTheWay.length === 0),
      changed: [...plan.otherTls.map(({ open }) => open), ...opened((inTheWay) => inTheWay.length > 0)],
      removed: plan.unwanted.filter((listener) => !replaced.has(listener)),
      kept: [...plan.kept.values()].filter((listener) => !plan.otherTls.some(({ open }) => open === listener)),
      commit: (patience) => {
        for (const [want, listener] of plan.kept) listener.serve = want.serve;
        for (const apply of tls) apply();
        for (const { open: listener, wanted: want } of plan.otherTls) listener.listen = want.listen;
        this.listeners = wanted.flatMap((want) => listeners.get(want) ?? []);
        for (const listener of plan.unwanted) this.letGo(listener, patience, stopped.has(listener));
      },
    };
  }

  /** Nobody new is accepted, anywhere. */
  stop(): void {
    for (const listening of this.all) listening.stop();
  }

  close(): void {
    for (const listening of this.all) listening.close();
  }

  private async prepareOne(want: WantedListener): Promise<ListenerResources> {
    const { address } = want.listen;
    if (address.kind === 'systemd' && this.givenBack.has(address.socket))
      throw new ListenError(
        address.text,
        'ENOENT',
        'this socket from systemd was closed by an earlier reload; restart the service to get it back',
      );
    return await this.opener.prepare(want);
  }

  private async openOne(
    want: WantedListener,
    resources: ListenerResources,
    inPlaceOf: Listening | undefined,
  ): Promise<OpenListener> {
    const { listen, admin, deflates = false, serve } = want;
    // Asked for each request, because the next configuration has another one.
    const current: { serve: Serve } = { serve };
    const opened = await this.openPatiently(want, resources, (exchange) => current.serve(exchange), inPlaceOf);
    return Object.assign(current, { listen, admin, deflates, port: opened.listening.port, resources, ...opened });
  }

  /**
   * A program that was started a moment ago still has a listener that we have closed, until it becomes another program; on a busy
   * board that takes a while. Not at the start, where nothing was closed.
   */
  private async openPatiently(
    want: WantedListener,
    resources: ListenerResources,
    serve: Serve,
    inPlaceOf: Listening | undefined,
  ): ReturnType<ListenerOpener['open']> {
    const deadline = performance.now() + (this.listeners.length === 0 ? 0 : ADDRESS_TIME);
    for (;;) {
      try {
        return await this.opener.open(want, resources, serve, inPlaceOf);
      } catch (error) {
        const inUse = error instanceof ListenError && error.code === 'EADDRINUSE';
        if (!inUse || performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, ADDRESS_LOOK));
      }
    }
  }

  /** It was closed for nothing. Its connections go on, for as long as they would have without that. */
  private async reopen(old: OpenListener, inPlaceOf: Listening | undefined): Promise<void> {
    this.linger(old);
    try {
      const again = await this.openOne(old, old.resources, inPlaceOf);
      this.listeners = this.listeners.map((listener) => (listener === old ? again : listener));
    } catch (error) {
      this.listeners = this.listeners.filter((listener) => listener !== old);
      this.release(old.resources);
      this.opener.lost(error);
    }
  }

  /** Those who have come to `listener` meanwhile stay, and are served as they would have been without it. */
  private async handBack(listener: OpenListener, to: OpenListener): Promise<void> {
    listener.serve = to.serve;
    await this.reopen(to, listener.listening);
    this.linger(listener);
  }

  private letGo(listener: OpenListener, patience: number, isStopped: boolean): void {
    const { listening, listen, resources } = listener;
    const { name } = listening;
    if (!isStopped) {
      if (listen.address.kind === 'systemd') this.givenBack.add(listen.address.socket);
      listening.stop();
    }
    this.linger(listener, patience);
    this.release(resources);
    this.forget(name);
  }

  /** Takes what is counted by a name that nothing has any more. */
  private forget(name: string): void {
    if (!this.listeners.some((listener) => listener.listening.name === name)) this.opener.gone(name);
  }

  private linger(listener: OpenListener, patience?: number): void {
    const { listening } = listener;
    this.leaving.add(listening);
    const enough = patience === undefined ? undefined : setTimeout(() => listening.close(), patience);
    void listening.finished.then(() => {
      clearTimeout(enough);
      this.leaving.delete(listening);
      // uWebSockets.js never forgets a listener; what was behind it must not stay with it.
      listener.serve = serveNobody;
    });
  }

  private release({ store }: ListenerResources): void {
    if (store !== undefined) this.opener.release(store);
  }
}
