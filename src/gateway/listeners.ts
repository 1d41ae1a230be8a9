/**
 * The listeners of a gateway: opened all or none, kept over a reload where they did not change, and let go of in good order. Each has
 * a door, which says by which pipeline its requests go: with another configuration by another one.
 */
import { type Engine, type EngineEvents, ListenError, type Listening } from '../engine/engine.ts';
import type { CertificateStore } from '../tls/serving/store.ts';
import { type Place, planListeners } from './listener-plan.ts';

type Serve = EngineEvents['exchange'];

export interface Wanted extends Place {
  readonly serve: Serve;
}

/** What has to be there before a listener can be opened. */
export interface Hinges {
  readonly engine: Engine;
  readonly store: CertificateStore | undefined;
}

/** A listener at work. */
export interface Door {
  listen: Place['listen'];
  readonly admin: boolean;
  readonly port: number | undefined;
  readonly hinges: Hinges;
  readonly listening: Listening;
  /** Largest message that it was opened for, bytes. */
  readonly maxMessage: number;
  /** Serves the next request. */
  serve: Serve;
}

export interface ListenerParts {
  /** Rejects with a `TlsTrouble`. */
  prepare(place: Place): Promise<Hinges>;
  /** Reads other certificates. Rejects with a `TlsTrouble`; otherwise resolves with what puts them in force. */
  otherTls(store: CertificateStore, place: Place): Promise<() => void>;
  /** Rejects with a `ListenError`. */
  open(place: Place, hinges: Hinges, serve: Serve): Promise<Pick<Door, 'listening' | 'maxMessage'>>;
  release(store: CertificateStore): void;
  /** It accepts nothing any more, and no other one has its name. */
  gone(name: string): void;
  /** It had to be closed, and could not be opened again. */
  lost(error: unknown): void;
}

/** Doors that are open for a configuration that is not in force yet. */
export interface Opened {
  readonly added: readonly Door[];
  /** Those that have taken the place of others, or serve other certificates. */
  readonly changed: readonly Door[];
  /** Those whose place nobody has taken. */
  readonly removed: readonly Door[];
  readonly kept: readonly Door[];
  /** Kept, although they were wanted otherwise. */
  readonly unchangeable: readonly Door[];
  /** From here on they are the gateway's. Those that are gone get so many milliseconds for their connections. */
  commit(patience: number): void;
}

/** How long an address that is in use may take to become free, and how often it is tried meanwhile. Milliseconds. */
const PLACE_TIME = 1000;
const PLACE_LOOK = 50;

const serveNobody: Serve = () => undefined;

export class Listeners {
  private doors: readonly Door[] = [];
  /** Those that accept no more, and may still have connections. */
  private readonly leaving = new Set<Listening>();
  /** Sockets of systemd that were closed: nobody hands them over again. */
  private readonly givenBack = new Set<string>();

  constructor(private readonly parts: ListenerParts) {}

  /** In the configuration's order. */
  get open(): readonly Door[] {
    return this.doors;
  }

  /** Those that are being let go of, too. */
  get all(): readonly Listening[] {
    return [...this.doors.map(({ listening }) => listening), ...this.leaving];
  }

  /**
   * Opens what is wanted and not there. Where another one is in the place, that is closed first, after everything else is open.
   * Rejects with a `ListenError` or a `TlsTrouble`; then everything is as it was.
   */
  async prepare(wanted: readonly Wanted[]): Promise<Opened> {
    const plan = planListeners(this.doors, wanted);
    const undo: (() => void | Promise<void>)[] = [];
    const doors = new Map<Wanted, Door>(plan.kept);
    const tls: (() => void)[] = [];
    try {
      for (const { open: door, wanted: want } of plan.otherTls) {
        const { store } = door.hinges;
        if (store !== undefined) tls.push(await this.parts.otherTls(store, want));
      }
      const hinges = new Map<Wanted, Hinges>();
      for (const { wanted: want } of plan.opening) {
        const made = await this.prepareOne(want);
        hinges.set(want, made);
        undo.push(() => this.release(made));
      }
      const stopped = new Set<Door>();
      for (const { wanted: want, inTheWay } of plan.opening) {
        for (const old of inTheWay) {
          if (stopped.has(old)) continue;
          stopped.add(old);
          old.listening.stop();
          undo.push(() => this.reopen(old));
        }
        const made = hinges.get(want);
        if (made === undefined) continue;
        const door = await this.openOne(want, made);
        doors.set(want, door);
        undo.push(() => door.listening.close());
      }
    } catch (error) {
      // Backwards: what has taken a place leaves it before the old one comes back.
      for (const step of undo.reverse()) await step();
      for (const { wanted: want } of plan.opening) this.forget(want.listen.address.text);
      throw error;
    }
    const replaced = new Set(plan.opening.flatMap(({ inTheWay }) => inTheWay));
    const opened = (where: (inTheWay: readonly Door[]) => boolean): readonly Door[] =>
      plan.opening.flatMap((each) => (where(each.inTheWay) ? (doors.get(each.wanted) ?? []) : []));
    return {
      added: opened((inTheWay) => inTheWay.length === 0),
      changed: [...plan.otherTls.map(({ open }) => open), ...opened((inTheWay) => inTheWay.length > 0)],
      removed: plan.unwanted.filter((door) => !replaced.has(door)),
      kept: [...plan.kept.values()].filter((door) => !plan.otherTls.some(({ open }) => open === door)),
      unchangeable: plan.unchangeable,
      commit: (patience) => {
        for (const [want, door] of plan.kept) door.serve = want.serve;
        for (const apply of tls) apply();
        for (const { open: door, wanted: want } of plan.otherTls) door.listen = want.listen;
        this.doors = wanted.flatMap((want) => doors.get(want) ?? []);
        for (const door of plan.unwanted) this.letGo(door, patience);
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

  private async prepareOne(want: Wanted): Promise<Hinges> {
    const { address } = want.listen;
    if (address.kind === 'systemd' && this.givenBack.has(address.socket))
      throw new ListenError(address.text, 'ENOENT', 'this socket was given back; only a restart gets it again');
    return await this.parts.prepare(want);
  }

  private async openOne(want: Wanted, hinges: Hinges): Promise<Door> {
    const { listen, admin, serve } = want;
    // Asked for each request, because the next configuration has another one.
    const current: { serve: Serve } = { serve };
    const opened = await this.openPatiently(want, hinges, (exchange) => current.serve(exchange));
    return Object.assign(current, { listen, admin, port: opened.listening.port, hinges, ...opened });
  }

  /**
   * A program that was started a moment ago still has a listener that we have closed, until it becomes another program; on a busy
   * board that takes a while. Not at the start, where nothing was closed.
   */
  private async openPatiently(want: Wanted, hinges: Hinges, serve: Serve): ReturnType<ListenerParts['open']> {
    const deadline = performance.now() + (this.doors.length === 0 ? 0 : PLACE_TIME);
    for (;;) {
      try {
        return await this.parts.open(want, hinges, serve);
      } catch (error) {
        const inUse = error instanceof ListenError && error.code === 'EADDRINUSE';
        if (!inUse || performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, PLACE_LOOK));
      }
    }
  }

  /** It was closed for nothing. Its connections go on, for as long as they would have without that. */
  private async reopen(old: Door): Promise<void> {
    this.linger(old);
    try {
      const again = await this.openOne(old, old.hinges);
      this.doors = this.doors.map((door) => (door === old ? again : door));
    } catch (error) {
      this.doors = this.doors.filter((door) => door !== old);
      this.release(old.hinges);
      this.parts.lost(error);
    }
  }

  private letGo(door: Door, patience: number): void {
    const { listening, listen, hinges } = door;
    const { name } = listening;
    if (listen.address.kind === 'systemd') this.givenBack.add(listen.address.socket);
    listening.stop();
    this.linger(door, patience);
    this.release(hinges);
    this.forget(name);
  }

  /** Takes what is counted by a name that nothing has any more. */
  private forget(name: string): void {
    if (!this.doors.some((door) => door.listening.name === name)) this.parts.gone(name);
  }

  private linger(door: Door, patience?: number): void {
    const { listening } = door;
    this.leaving.add(listening);
    const enough = patience === undefined ? undefined : setTimeout(() => listening.close(), patience);
    void listening.finished.then(() => {
      clearTimeout(enough);
      this.leaving.delete(listening);
      // uWebSockets.js never forgets a listener; what was behind it must not stay with it.
      door.serve = serveNobody;
    });
  }

  private release({ store }: Hinges): void {
    if (store !== undefined) this.parts.release(store);
  }
}
