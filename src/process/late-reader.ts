/**
 * A program's stderr. Most programs write nothing there and are over in a moment, so the event loop is asked to watch it only once
 * the program has lived for a while. When it has ended before, one look tells whether there is anything to read.
 */
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';

/** How late the first line of a program may be read, milliseconds. */
const WATCH_AFTER = 20;

export interface LateReaderParts {
  /** Settles when the program has been reaped. */
  readonly exited: Promise<unknown>;
  /** Whether nobody can write to the pipe any more and nothing is left in it. */
  readonly isOver: (descriptor: number) => boolean;
  /** Reads a pipe as it fills; owns the descriptor from then on. */
  readonly open: (descriptor: number) => Socket;
}

export class LateReader extends Readable {
  private socket: Socket | undefined;
  private readonly timer: NodeJS.Timeout;

  /** Closes `descriptor` when it is over or destroyed. */
  constructor(
    private readonly descriptor: number,
    private readonly parts: LateReaderParts,
  ) {
    super();
    this.timer = setTimeout(() => this.watch(), WATCH_AFTER);
    void parts.exited.then(() => this.look());
  }

  override _read(): void {
    this.socket?.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.timer);
    if (this.socket === undefined) closeSync(this.descriptor);
    else this.socket.destroy();
    done(error);
  }

  /** The program is gone; what it has started may still have the pipe. */
  private look(): void {
    if (this.destroyed || this.socket !== undefined) return;
    if (this.parts.isOver(this.descriptor)) {
      clearTimeout(this.timer);
      this.finish();
    } else this.watch();
  }

  /** Also where nobody listens: what is over is closed. */
  private finish(): void {
    this.push(null);
    this.read(0);
  }

  private watch(): void {
    if (this.destroyed || this.socket !== undefined || this.readableEnded) return;
    clearTimeout(this.timer);
    const socket = this.parts.open(this.descriptor);
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    // Behind an end and behind an error.
    socket.once('close', () => this.finish());
  }
}
