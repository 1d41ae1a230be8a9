/**
 * A body that goes on: what its framing finds in it is published as it arrives. Its sender is never refused for being fast but held back, by
 * the limit of messages and by a disk that is behind.
 */
import type { BodyReceiver, Reply } from '../../../engine/engine.ts';
import type { LiveBody } from '../../../http/live-body.ts';
import { type Decoder, type Framing, FramingError } from '../../framing.ts';
import type { Losses } from '../../jpeg.ts';
import type { Published } from './published.ts';
import { jsonReply, NOT_KEPT } from './reply.ts';

/** Why a live writer is over. */
export type WriterEnd = 'ended' | 'left' | 'idle' | 'too_large' | 'invalid' | 'stopped';

/** Bytes of messages that may wait for the disk before the writer is held back. */
const MAX_UNSAFE = 256 * 1024;
/** A read may hold very many lines: so many of its bytes are taken before the limit of messages is asked again. */
const STEP = 4096;

export interface LiveWriterOptions {
  readonly framing: Framing;
  /** Bytes. */
  readonly maxMessage: number;
  /** Milliseconds. */
  readonly idleTimeout: number;
}

export interface LiveWriterEvents {
  publish(batch: readonly Buffer[]): Published;
  /** The beginning of a message came, and its end does not. */
  cut(): void;
  /** What was left out of a body of pictures. */
  lost(losses: Losses): void;
  /** Once. @param why a sentence for people */
  over(writer: LiveWriter, end: WriterEnd, why: string): void;
}

export class LiveWriter implements BodyReceiver {
  /** The answer. Rejects when the writer has left. */
  readonly done: Promise<Reply>;
  messages = 0;
  bytes = 0;
  private settle: { resolve(reply: Reply): void; reject(error: unknown): void } | undefined;
  private readonly decoder: Decoder;
  private readonly step: number;
  private waiting: Buffer[] = [];
  private ended = false;
  private over = false;
  private lastId: string | undefined;
  private unsafe = 0;
  private lastKept: Promise<boolean> | undefined;
  private unkept = false;
  private diskIsBehind = false;
  private tooFast: NodeJS.Timeout | undefined;
  private readonly idle: NodeJS.Timeout;

  constructor(
    private readonly body: LiveBody,
    private readonly options: LiveWriterOptions,
    private readonly events: LiveWriterEvents,
  ) {
    const { framing, maxMessage, idleTimeout } = options;
    this.decoder = framing.decoder(maxMessage);
    // Where each read is a message, a piece of one would be another.
    this.step = framing.name === 'raw' ? Number.POSITIVE_INFINITY : STEP;
    this.done = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    this.idle = setTimeout(() => this.silent(), idleTimeout);
  }

  /** @param signal aborted when the writer has left */
  begin(signal: AbortSignal): void {
    signal.addEventListener('abort', () => this.left(signal.reason), { once: true });
    this.body.take(this);
  }

  chunk(bytes: Buffer): void {
    if (this.over) return;
    this.idle.refresh();
    this.waiting.push(bytes);
    this.work();
  }

  end(): void {
    this.ended = true;
    this.work();
  }

  /** Nothing more is taken of it. */
  stop(why: string): void {
    this.finish('stopped', why);
  }

  private get isHeldBack(): boolean {
    return this.diskIsBehind || this.tooFast !== undefined;
  }

  private work(): void {
    while (!this.over && !this.isHeldBack) {
      const bytes = this.next();
      if (bytes === undefined) break;
      this.decode(bytes);
    }
    if (this.over) return;
    if (this.ended && this.waiting.length === 0) this.decode(undefined);
    else if (this.isHeldBack) this.body.pause();
    else this.body.resume();
  }

  private next(): Buffer | undefined {
    const [first] = this.waiting;
    if (first === undefined || first.length <= this.step) return this.waiting.shift();
    this.waiting[0] = first.subarray(this.step);
    return first.subarray(0, this.step);
  }

  /** @param bytes undefined at the end */
  private decode(bytes: Buffer | undefined): void {
    try {
      const batch = bytes === undefined ? this.decoder.end() : this.decoder.push(bytes);
      if (batch.length > 0) this.publish(batch);
      const losses = this.decoder.takeLosses?.();
      if (losses !== undefined) this.events.lost(losses);
      if (bytes === undefined) this.finish('ended', 'its data has ended');
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.finish(bytes === undefined ? 'invalid' : 'too_large', error.message);
    }
  }

  private publish(batch: readonly Buffer[]): void {
    let bytes = 0;
    for (const message of batch) bytes += message.length;
    this.messages += batch.length;
    this.bytes += bytes;
    const { id, kept } = this.events.publish(batch);
    this.lastId = id;
    if (kept !== undefined) this.awaitDisk(kept, bytes);
    const wait = this.body.pace?.owe(batch.length, bytes, performance.now()) ?? 0;
    if (wait <= 0) return;
    this.tooFast = setTimeout(() => {
      this.tooFast = undefined;
      this.work();
    }, wait);
  }

  private awaitDisk(kept: Promise<boolean>, bytes: number): void {
    this.lastKept = kept;
    this.unsafe += bytes;
    if (this.unsafe > MAX_UNSAFE) this.diskIsBehind = true;
    // A full disk ends the keeping and not the stream: the writer hears of it at its end.
    const settled = (ok: boolean): void => {
      if (!ok) this.unkept = true;
      this.unsafe -= bytes;
      if (!this.diskIsBehind || this.unsafe > MAX_UNSAFE / 2) return;
      this.diskIsBehind = false;
      this.work();
    };
    kept.then(settled, () => settled(false));
  }

  /** While we hold it back ourselves, it is not to blame. */
  private silent(): void {
    if (this.isHeldBack) this.idle.refresh();
    else this.finish('idle', `it sent nothing for ${this.options.idleTimeout} ms (publish.idle_timeout)`);
  }

  private left(reason: unknown): void {
    if (this.over) return;
    if (this.waiting.length > 0 || (this.decoder.rest?.length ?? 0) > 0) this.events.cut();
    this.close('left', 'its connection was lost');
    this.settle?.reject(reason);
  }

  private finish(end: WriterEnd, why: string): void {
    if (this.over) return;
    this.close(end, why);
    const answer = (): void => this.settle?.resolve(this.reply(end, why));
    // The handlers above have run by then.
    if (this.lastKept === undefined) answer();
    else this.lastKept.then(answer, answer);
  }

  private close(end: WriterEnd, why: string): void {
    this.over = true;
    this.waiting = [];
    clearTimeout(this.idle);
    clearTimeout(this.tooFast);
    this.events.over(this, end, why);
  }

  private reply(end: WriterEnd, why: string): Reply {
    const { messages, lastId: id } = this;
    const known = id === undefined ? { messages } : { messages, id };
    if (end !== 'ended') return jsonReply(STATUS[end], { ...known, error: why }, end === 'stopped' ? RETRY : undefined);
    return this.unkept ? jsonReply(507, { ...known, error: NOT_KEPT }) : jsonReply(200, known);
  }
}

const STATUS: { readonly [end in WriterEnd]: number } = {
  ended: 200,
  left: 499,
  idle: 408,
  too_large: 413,
  invalid: 400,
  stopped: 503,
};

/** Seconds, for whoever may come again. */
const RETRY = 1;
