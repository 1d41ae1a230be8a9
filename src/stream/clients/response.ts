/** A client that is an HTTP response which goes on: an event stream for browsers, or plain lines for curl. */
import type { BodySink, BodySource } from '../../engine/engine.ts';
import type { Client, Notice, Origin } from '../ends.ts';
import type { Watched } from '../keepalive.ts';
import { type Ending, eventOf, type Message } from '../message.ts';

/** How messages look in the response. */
export interface ResponseForm {
  readonly contentType: string;
  /** What comes first. */
  opening(): Buffer;
  message(message: Message, origin: Origin): Buffer;
  notice(notice: Notice): Buffer;
  ending(ending: Ending): Buffer;
  /** What shows that the connection lives, where there is something that the reader overlooks. */
  readonly ping: Buffer | undefined;
}

const NOTHING = Buffer.alloc(0);

/** An event stream (HTML standard, section 9.2). Binary data are base64, which the first event says. */
export function eventStream(binary: boolean, facts: { readonly [name: string]: string }): ResponseForm {
  const told = binary ? { ...facts, encoding: 'base64' } : facts;
  return {
    contentType: 'text/event-stream',
    // A padding comment gets the first bytes past proxies and antivirus programs that wait for some.
    opening: () => Buffer.concat([Buffer.from('retry: 2000\n'), eventOf('open', JSON.stringify(told), '')]),
    message: (message, origin) =>
      origin === 'stdout' ? message.event : eventOf('stderr', message.data.toString(), ''),
    notice: (notice) => eventOf(notice.kind, notice.kind === 'missed' ? String(notice.count ?? '') : notice.text, ''),
    ending: (ending) => eventOf('end', JSON.stringify(ending), ''),
    ping: Buffer.from(':\n\n'),
  };
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
  /** A message went out. */
  delivered(): void;
  /** The client has caught up with everything. */
  caughtUp(): void;
  /** The response is over: by `close`, or because the client left. Once, and last. */
  left(code: number): void;
}

export class ResponseClient implements Client, Watched, BodySource {
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

  notice(notice: Notice): void {
    this.queue(this.form.notice(notice));
    this.flush();
  }

  ping(): void {
    if (this.form.ping === undefined || this.blocked) return;
    this.queue(this.form.ping);
    this.flush();
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

  pause(): boolean {
    return true;
  }

  resume(): void {
    // Called by the engine: the client takes bytes again. As a `Client` it has nothing to resume: it never sends.
    this.blocked = false;
    this.flush();
    if (!this.behind || this.pendingBytes > 0 || this.over) return;
    this.behind = false;
    this.events.caughtUp();
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
