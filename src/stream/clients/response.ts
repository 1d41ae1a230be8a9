/** A client that is an HTTP response which goes on. */
import type { BodySink, BodySource, Reply } from '../../engine/engine.ts';
import type { CountedTransport } from '../counts.ts';
import type { Ending, Message } from '../message.ts';
import {
  type Client,
  type ClientEvents,
  type ClientParts,
  GONE,
  type MessageOrigin,
  type Notice,
  type Reservation,
} from './client.ts';
import { earlyPings, type PingedClient, type Watch } from './keepalive.ts';
import type { ResponseForm } from './response-form.ts';

/** What a live response tells. */
export interface ResponseEvents {
  /** A message went either way. */
  delivered(): void;
  /** The client has caught up with everything. */
  drain(): void;
  /** The client takes bytes: the only sign of life that there is of one that cannot speak. */
  alive(): void;
  /** The response is over: by `close`, or because the client left. Once, and last. */
  left(code: number): void;
}

/** A client that is the body of its response. */
export interface LiveBody extends Client, PingedClient, BodySource {}

/** How a response goes on. */
export interface LiveResponse {
  readonly contentType: string;
  /** Whether the first pings come early: they show a page that nothing holds the response back. */
  readonly pingsEarly: boolean;
  body(events: ResponseEvents): LiveBody;
}

/** A response that has a form for each message. */
export function formed(form: ResponseForm, transport: string): LiveResponse {
  return {
    contentType: form.contentType,
    pingsEarly: form.ping !== undefined,
    body: (events) => new ResponseClient(transport, form, events),
  };
}

class ResponseClient implements LiveBody {
  /** What it says comes in requests of their own. */
  readonly heldBack = false;
  readonly length = undefined;
  private sink: BodySink | undefined;
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private blocked = false;
  private behind = false;
  private ending: Ending | undefined;
  private over = false;

  constructor(
    readonly transport: string,
    private readonly form: ResponseForm,
    private readonly events: ResponseEvents,
  ) {}

  // ---- the client, for the channel ----

  get bufferedAmount(): number {
    return this.pendingBytes;
  }

  deliver(batch: readonly Message[], origin: MessageOrigin): boolean {
    this.events.delivered();
    for (const message of batch) this.queue(this.form.message(message, origin));
    this.flush();
    this.behind = this.pendingBytes > 0;
    return !this.behind;
  }

  spoke(): void {
    this.events.delivered();
  }

  notice(notice: Notice): void {
    this.queue(this.form.notice(notice));
    this.flush();
  }

  /** @param due milliseconds until the next one */
  ping(due?: number): void {
    if (this.form.ping !== undefined) {
      this.queue(this.form.ping(due));
      this.flush();
    }
    if (!this.blocked) this.events.alive();
  }

  close(ending: Ending): void {
    if (this.ending !== undefined || this.over) return;
    this.queue(this.form.ending(ending));
    this.ending = ending;
    this.flush();
  }

  terminate(): void {
    if (this.over) return;
    this.finish(1006);
    this.sink?.fail(new Error('the client was dropped'));
  }

  /** It never sends: what comes for it by POST is answered one by one. */
  pause(): boolean {
    return false;
  }

  resume(): void {
    // Called by the engine: the client takes bytes again. As a `Client` it has nothing to resume: it never sends.
    this.blocked = false;
    this.events.alive();
    this.flush();
    if (!this.behind || this.pendingBytes > 0 || this.over) return;
    this.behind = false;
    this.events.drain();
  }

  // ---- the body, for the engine ----

  start(sink: BodySink): void {
    this.sink = sink;
    this.pending.unshift(this.form.opening());
    this.pendingBytes += this.pending[0]?.length ?? 0;
    this.flush();
  }

  cancel(): void {
    this.finish(1006);
  }

  private queue(bytes: Buffer): void {
    if (this.over || this.ending !== undefined || bytes.length === 0) return;
    this.pending.push(bytes);
    this.pendingBytes += bytes.length;
  }

  private flush(): void {
    const { sink } = this;
    if (sink === undefined || this.blocked || this.over) return;
    if (this.pendingBytes > 0) {
      const bytes =
        this.pending.length === 1 && this.pending[0] !== undefined
          ? this.pending[0]
          : Buffer.concat(this.pending, this.pendingBytes);
      this.pending = [];
      this.pendingBytes = 0;
      this.blocked = !sink.write(bytes);
    }
    if (this.ending === undefined || this.blocked) return;
    const { code } = this.ending;
    this.finish(code);
    sink.end();
  }

  private finish(code: number): void {
    if (this.over) return;
    this.over = true;
    this.pending = [];
    this.pendingBytes = 0;
    this.events.left(code);
  }
}

/** @param transport its name in the counts */
export function acceptResponse(
  clientParts: ClientParts,
  response: LiveResponse,
  transport: CountedTransport,
  reservation: Reservation,
): Reply {
  const { keepAlive, counts } = clientParts;
  let events: ClientEvents | undefined;
  let started = false;
  let over = false;
  let watch: Watch | undefined;
  let stopEarly: (() => void) | undefined;
  const client = response.body({
    delivered: () => watch?.message(),
    drain: () => events?.drain(),
    alive: () => watch?.heard(),
    left(code) {
      over = true;
      stopEarly?.();
      if (watch !== undefined) keepAlive.remove(watch);
      counts.left(code);
      events?.left();
    },
  });
  return {
    status: 200,
    headers: [
      ['content-type', response.contentType],
      ['cache-control', 'no-store'],
      // nginx holds answers back by default; this is how it is told not to.
      ['x-accel-buffering', 'no'],
    ],
    body: {
      length: undefined,
      // Joined only now: a HEAD request, or one whose client has left, never starts its body.
      start(sink) {
        started = true;
        counts.joined(transport);
        watch = keepAlive.add(client, {
          end: (ending) => events?.close(ending),
          vanished: () => events?.vanished(),
        });
        client.start(sink);
        // The engine may tell inside of any write that the client has left.
        if (over) {
          reservation.cancel();
          return;
        }
        if (response.pingsEarly) stopEarly = earlyPings((due) => client.ping(due), keepAlive.pingInterval);
        events = reservation.join(client);
        if (events === undefined) client.close(GONE);
        else if (over) events.left();
      },
      resume: () => client.resume(),
      cancel: () => {
        if (started) client.cancel();
        else reservation.cancel();
      },
    },
  };
}
