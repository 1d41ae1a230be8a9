/**
 * A pipe of a program that is likely to be over in a moment, as CGI programs are: the event loop is asked to watch it only once the
 * program has lived for a while. Of one that has ended before, everything lies in the pipe, and one look takes it out. That spares
 * a socket, and the waking for each of its events, which cost more than all else that is done for a small program.
 */
import { EventEmitter } from 'node:events';
import { closeSync, readSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Output } from '../spawn.ts';
import { POLLHUP, POLLIN } from './calls.ts';

/** How often, and how long after each other in milliseconds, the pipe of a program that is gone is looked at before it is watched. */
const LOOKS = 3;
const LOOK_AGAIN_AFTER = 1;

export interface LateReaderParts {
  /** How long the program may live before the pipe is watched: how late its first bytes may be. Undefined of one that has ended. */
  readonly delay: Delay | undefined;
  /** Settles when the program has been reaped. */
  readonly exited: Promise<unknown>;
  /** What poll(2) has to say of a pipe at this moment: POLLIN, POLLHUP, both or 0. */
  readonly poll: (descriptor: number) => number;
  /** Where bytes are read into; what is handed on is a copy. As large as a pipe. */
  readonly scratch: Buffer;
  /** Reads a pipe as it fills; owns the descriptor from then on. */
  readonly open: (descriptor: number) => Socket;
}

/** As much of a `Readable` as is needed: making one, and letting it end, is what this class is to spare. */
export class LateReader extends EventEmitter implements Output {
  closed = false;
  private socket: Socket | undefined;
  private flowing = false;
  /** What came while nobody wanted it. */
  private waiting: Buffer[] = [];
  /** Nothing more comes. */
  private over = false;
  private destroyed = false;

  /** Closes `descriptor` when it is over or destroyed. */
  constructor(
    private readonly descriptor: number,
    private readonly parts: LateReaderParts,
  ) {
    super();
    parts.delay?.add(() => this.watch());
    void parts.exited.then(() => this.look(LOOKS));
  }

  override on(event: string, listener: (...values: never[]) => void): this {
    super.on(event, listener as (...values: unknown[]) => void);
    if (event === 'data') this.resume();
    return this;
  }

  pause(): void {
    this.flowing = false;
    this.socket?.pause();
  }

  resume(): void {
    if (this.flowing) return;
    this.flowing = true;
    if (this.waiting.length > 0) process.nextTick(() => this.handOn());
    else this.socket?.resume();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.waiting = [];
    if (this.socket === undefined) closeSync(this.descriptor);
    else this.socket.destroy();
    process.nextTick(() => this.close());
  }

  private handOn(): void {
    while (this.flowing && !this.destroyed) {
      const chunk = this.waiting.shift();
      if (chunk === undefined) break;
      this.emit('data', chunk);
    }
    if (this.destroyed || this.waiting.length > 0) return;
    if (this.over) this.end();
    else if (this.flowing) this.socket?.resume();
  }

  private take(chunk: Buffer): void {
    if (this.flowing && this.waiting.length === 0) this.emit('data', chunk);
    else this.waiting.push(chunk);
  }

  /**
   * The program is gone, but not always is its pipe over: what it has started may still have it, and so has, until its exec, any
   * program that is being started at this moment. That is over in a fraction of a millisecond, so it is worth another look.
   */
  private look(looks: number): void {
    if (this.over || this.destroyed || this.socket !== undefined) return;
    const state = this.parts.poll(this.descriptor);
    const over = (state & POLLHUP) !== 0;
    if ((state & POLLIN) !== 0) this.readNow(over);
    if (over) this.finish();
    else if (looks > 1) setTimeout(() => this.look(looks - 1), LOOK_AGAIN_AFTER);
    else this.watch();
  }

  /** There is something to read, so the first read does not wait; nor does any, when nobody can write any more. */
  private readNow(over: boolean): void {
    const { scratch } = this.parts;
    for (;;) {
      const length = readSync(this.descriptor, scratch, 0, scratch.length, null);
      if (length > 0) this.take(Buffer.from(scratch.subarray(0, length)));
      if (!over || length < scratch.length || this.destroyed) return;
    }
  }

  /** What is over is closed, also where nobody listens, unless there is something to be had first. */
  private finish(): void {
    if (this.over || this.destroyed) return;
    this.over = true;
    if (this.waiting.length === 0) this.end();
  }

  private end(): void {
    this.destroyed = true;
    if (this.socket === undefined) closeSync(this.descriptor);
    this.emit('end');
    this.close();
  }

  private close(): void {
    this.closed = true;
    this.emit('close');
    // `delay` still has this object for a while, and should not keep all that listened to it.
    this.removeAllListeners();
  }

  private watch(): void {
    if (this.over || this.destroyed || this.socket !== undefined) return;
    const socket = this.parts.open(this.descriptor);
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.take(chunk);
      if (!this.flowing) socket.pause();
    });
    // Behind an end and behind an error.
    socket.once('close', () => this.finish());
  }
}

/**
 * One timer for many that all wait equally long and mostly wait in vain: nothing is taken back. What is called looks for itself whether
 * there is still something to do.
 */
export class Delay {
  private waiting: { readonly due: number; readonly call: () => void }[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly milliseconds: number) {}

  /** Calls it after the time, never earlier. */
  add(call: () => void): void {
    this.waiting.push({ due: performance.now() + this.milliseconds, call });
    this.timer ??= setTimeout(this.look, this.milliseconds);
  }

  private readonly look = (): void => {
    const now = performance.now();
    const first = this.waiting.findIndex(({ due }) => due > now);
    const due = first < 0 ? this.waiting : this.waiting.slice(0, first);
    this.waiting = first < 0 ? [] : this.waiting.slice(first);
    const [next] = this.waiting;
    this.timer = next && setTimeout(this.look, Math.ceil(next.due - now));
    for (const { call } of due) call();
  };
}
