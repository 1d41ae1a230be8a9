/** A client that is an HTTP response which goes on: an event stream for browsers, or plain lines for curl. */
import type { BodySink, BodySource } from '../../engine/engine.ts';
import type { Client, Notice, Origin } from '../ends.ts';
import { CLOSE, type Ending, eventOf, type Message } from '../message.ts';
import type { PingedClient } from './keepalive.ts';
import { noticeText } from './notice-text.ts';

/** How messages look in the response. */
export interface ResponseForm {
  readonly contentType: string;
  /** What comes first. */
  opening(): Buffer;
  message(message: Message, origin: Origin): Buffer;
  notice(notice: Notice): Buffer;
  ending(ending: Ending): Buffer;
  /** What shows that the connection lives, and that the next comes in `due` milliseconds; where there is something that the reader overlooks. */
  readonly ping: ((due: number | undefined) => Buffer) | undefined;
}

const NOTHING = Buffer.alloc(0);

/**
 * Comments of 2 KiB: virus scanners and some proxies hold the first bytes back until about so many have come, and old browsers
 * show a script nothing before. In short lines, because small devices read with small buffers.
 */
const PADDING = `:${' '.repeat(62)}\n`.repeat(32);
const OPENING = Buffer.from(`${PADDING}retry: 2000\n\n`);
/** The id of the last event of a stream that is over for good. */
export const ENDED_ID = 'end';

/**
 * An event stream (HTML standard, section 9.2). Binary data are base64, which the first event says.
 * @param pingInterval milliseconds, told to the client so that it can find out that the line is dead
 */
export function eventStream(binary: boolean, pingInterval: number): ResponseForm {
  const about = { ping: pingInterval, ...(binary ? { encoding: 'base64' } : {}) };
  return {
    contentType: 'text/event-stream',
    opening: () => OPENING,
    message: (message, origin) =>
      origin === 'stdout' ? message.event : eventOf('stderr', message.data.toString(), ''),
    // The id of the first one makes a browser's EventSource resume from there, though no message has come yet.
    notice: (notice) => eventOf(notice.kind, noticeText(notice, about), notice.kind === 'joined' ? notice.id : ''),
    // A browser comes again by itself after any end. With this id it is told not to, unless coming again makes sense.
    ending: (ending) => {
      const { code, reason } = ending;
      return eventOf('end', JSON.stringify({ code, reason }), isForGood(ending) ? ENDED_ID : '');
    },
    // An event and not a comment, so that a page can see that the line lives.
    ping: (due = pingInterval) => eventOf('ping', String(due), ''),
  };
}

/** The program has ended: not a server that restarts, nor a client that was too slow, or idle. */
function isForGood({ code, again = false }: Ending): boolean {
  return !again && (code === CLOSE.normal || code === CLOSE.internalError);
}

/** What `curl -N` shows: a line a message, or the bytes as they are. */
export function plainStream(binary: boolean): ResponseForm {
  return {
    contentType: binary ? 'application/octet-stream' : 'text/plain; charset=utf-8',
    opening: () => NOTHING,
    message: (message, origin) =>
      binary || origin === 'stderr'
        ? origin === 'stderr'
          ? NOTHING
          : message.data
        : Buffer.concat([message.payload, Buffer.from('\n')]),
    notice: () => NOTHING,
    ending: () => NOTHING,
    ping: undefined,
  };
}

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

export class ResponseClient implements Client, PingedClient, BodySource {
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
    private readonly form: ResponseForm,
    private readonly events: ResponseEvents,
  ) {}

  // ---- the client, for the channel ----

  get bufferedAmount(): number {
    return this.pendingBytes;
  }

  deliver(batch: readonly Message[], origin: Origin): boolean {
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
