/**
 * Lines to a descriptor or a file. Those of one turn of the event loop go out in one write; what the reader does not take is held to a
 * bound, then dropped and counted. Nothing here waits: a write that cannot be done now is tried again.
 */
import { close, closeSync, constants, openSync, write } from 'node:fs';
import { type NonblockingOutput, nonblockingOutput } from '../system/nonblocking.ts';

/** Bytes that wait behind those that are being written, which may be as many again. */
const MAX_PENDING_BYTES = 1 << 20;
/** Milliseconds between two attempts: twice as long each time while nobody reads. */
const RETRY = { first: 2, last: 50 };
/** Milliseconds that `flush` waits while nothing is taken. */
const FLUSH_PATIENCE = 1000;
const NEWLINE = 0x0a;
/** Files of a log are for their owner and its group: they say who has asked for what. */
const FILE_MODE = 0o640;

/** Where lines go. */
export interface LogOutput {
  /** Lines that had to be dropped. */
  readonly dropped: number;
  /** @param text whole lines, each with its end; @param severity as syslog numbers it */
  write(text: string, severity: number): void;
  /** Resolves when everything written so far has left the process, or cannot. */
  flush(): Promise<void>;
}

export interface LineOutputEvents {
  /** The line that tells that so many were dropped. Undefined: it is told elsewhere, by `recovered`. */
  told(dropped: number): string | undefined;
  /** The first failure in a row, with the system's name for it. */
  failing?(code: string): void;
  /** It can be written again, and so many lines were dropped meanwhile. */
  recovered?(dropped: number): void;
}

export class LineOutput implements LogOutput {
  dropped = 0;
  /** Those of them that nobody was told of yet. */
  private untold = 0;
  private pending: string[] = [];
  private pendingBytes = 0;
  private writing = false;
  private waiters: (() => void)[] = [];
  /** When the reader last took something, by `performance.now`. */
  private progress = 0;
  private retry = RETRY.first;
  private isFailing = false;
  /** The last byte that was written ended no line. */
  private isTorn = false;
  /** Descriptors of files that were replaced while they were written to. */
  private retired: number[] = [];

  private constructor(
    private output: NonblockingOutput,
    private readonly events: LineOutputEvents,
    private readonly path: string | undefined,
  ) {}

  static ofDescriptor(descriptor: number, events: LineOutputEvents): LineOutput {
    return new LineOutput(nonblockingOutput(descriptor), events, undefined);
  }

  /** Throws the system's error where the file cannot be opened. */
  static ofFile(path: string, events: LineOutputEvents): LineOutput {
    return new LineOutput(openAppending(path), events, path);
  }

  write(text: string): void {
    const bytes = Buffer.byteLength(text);
    if (this.pendingBytes + bytes > MAX_PENDING_BYTES) {
      this.drop(1);
      return;
    }
    this.pending.push(text);
    this.pendingBytes += bytes;
    if (!this.writing) {
      this.writing = true;
      setImmediate(() => this.writeOut());
    }
  }

  /** Resolves when everything written so far has left the process, or cannot: nobody has read anything for a second. */
  flush(): Promise<void> {
    if (!this.writing) return Promise.resolve();
    const from = performance.now();
    return new Promise((resolve) => {
      const look = setInterval(() => {
        if (performance.now() - Math.max(from, this.progress) > FLUSH_PATIENCE) done();
      }, RETRY.last);
      const done = (): void => {
        clearInterval(look);
        resolve();
      };
      this.waiters.push(done);
    });
  }

  /** The file that has its name now is written to from now on. Throws the system's error; then everything is as it was. */
  reopen(): void {
    if (this.path === undefined) return;
    const before = this.output.descriptor;
    this.output = openAppending(this.path);
    if (this.writing) this.retired.push(before);
    else closeSync(before);
  }

  private drop(lines: number): void {
    this.dropped += lines;
    this.untold += lines;
  }

  private writeOut(): void {
    const { untold } = this;
    const told = untold > 0 ? this.events.told(untold) : undefined;
    if (told !== undefined) {
      this.untold = 0;
      this.pending.push(told);
    }
    // Half a line of before must not become one with the next.
    const bytes = Buffer.from((this.isTorn ? '\n' : '') + this.pending.join(''));
    this.pending = [];
    this.pendingBytes = 0;
    this.writeAll(this.output.descriptor, bytes, told === undefined ? 0 : untold);
  }

  /** @param told how many dropped lines these bytes tell of. */
  private writeAll(descriptor: number, bytes: Buffer, told: number): void {
    write(descriptor, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.writeAll(descriptor, bytes, told), this.retry);
        this.retry = Math.min(this.retry * 2, RETRY.last);
        return;
      }
      this.retry = RETRY.first;
      if (error) this.failed(error.code ?? 'error', bytes, told);
      else {
        this.progress = performance.now();
        if (written > 0) this.isTorn = bytes[written - 1] !== NEWLINE;
        if (written < bytes.length) return this.writeAll(descriptor, bytes.subarray(written), told);
        this.succeeded();
      }
      for (const old of this.retired.splice(0)) close(old);
      if (this.pending.length > 0) return this.writeOut();
      this.writing = false;
      for (const waiter of this.waiters.splice(0)) waiter();
    });
  }

  /** A log that cannot be written (disk full, reader gone) must not stop the gateway; the loss is counted, and told when it can be. */
  private failed(code: string, bytes: Buffer, told: number): void {
    const lines = bytes.reduce((count, byte) => count + (byte === NEWLINE ? 1 : 0), 0);
    // What tells of the others is no loss, and neither is the end of a line that was torn before.
    this.drop(lines - (told > 0 ? 1 : 0) - (bytes[0] === NEWLINE ? 1 : 0));
    this.untold += told;
    if (this.isFailing) return;
    this.isFailing = true;
    this.events.failing?.(code);
  }

  private succeeded(): void {
    if (!this.isFailing && this.untold === 0) return;
    this.isFailing = false;
    const { recovered } = this.events;
    if (recovered === undefined || this.untold === 0) return;
    const { untold } = this;
    this.untold = 0;
    recovered(untold);
  }
}

/** Each write goes to the end of the file, wherever that is by then: also behind a `copytruncate`. A pipe that is full does not hold anybody up. */
function openAppending(path: string): NonblockingOutput {
  const { O_WRONLY, O_RDWR, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants;
  const open = (access: number): number =>
    openSync(path, access | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, FILE_MODE);
  let descriptor: number;
  try {
    descriptor = open(O_WRONLY);
  } catch (error) {
    // A FIFO that nobody reads yet: what opens it for both is let in (fifo(7)), and lines wait there for a reader.
    if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    descriptor = open(O_RDWR);
  }
  return { descriptor, holder: undefined };
}
