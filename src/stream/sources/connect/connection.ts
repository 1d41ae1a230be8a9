/** A stream's source that is a connection: messages to the server, messages from it, an ending from how it was closed. */
import type { Socket } from 'node:net';
import type { Source, SourceEvents } from '../../ends.ts';
import { type Framing, FramingError } from '../../framing.ts';
import { CLOSE, type Ending } from '../../message.ts';
import { SourceInput } from '../input.ts';

export interface ConnectionSourceOptions {
  readonly framing: Framing;
  /** Bytes. */
  readonly maxMessage: number;
}

/** How long a server may take for what was written to it after its client has left. Milliseconds. */
const FLUSH_TIME = 5000;
/** How long it may then take to end its side. Milliseconds. */
const LINGER_TIME = 1000;

export class ConnectionSource implements Source {
  private over = false;
  private released = false;
  private readonly input: SourceInput;
  private trouble: NodeJS.ErrnoException | undefined;

  /** @param socket from `Connections`: connected, half-open allowed, paused. It is this source's from here on. */
  constructor(
    private readonly socket: Socket,
    private readonly options: ConnectionSourceOptions,
    private readonly events: SourceEvents,
  ) {
    const decoder = options.framing.decoder(options.maxMessage);
    socket.on('data', (chunk: Buffer) => this.decode(() => decoder.push(chunk)));
    socket.on('end', () => {
      this.decode(() => decoder.end());
      this.finish({ code: CLOSE.normal, reason: 'connection closed' });
    });
    this.input = new SourceInput(socket, () => events.drain());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.trouble = error;
    });
    socket.on('close', () => this.finish(lost(this.trouble)));
    // Events come later than this constructor: the channel must know its source first.
    if (socket.destroyed) queueMicrotask(() => this.finish(lost(this.trouble)));
    socket.resume();
  }

  get waiting(): number {
    return this.input.waiting;
  }

  /** False: the server is behind; `drain` will tell. What comes after `endInput` is lost, as in any pipe. */
  write(message: Buffer): boolean {
    return this.input.write(this.options.framing.encode(message));
  }

  /** Ends our side of the connection while the server's goes on. */
  endInput(): void {
    this.input.end();
  }

  pause(): void {
    if (!this.released) this.socket.pause();
  }

  resume(): void {
    if (!this.released) this.socket.resume();
  }

  /**
   * Ends it behind what was written. Closing a connection of which not everything was read is a reset, and takes with it what is
   * still on its way to the server; so what the server says is read and thrown away until it ends too, for a moment.
   */
  release(): void {
    this.over = true;
    if (this.released) return;
    this.released = true;
    const { socket } = this;
    if (socket.destroyed) return;
    let deadline = setTimeout(() => socket.destroy(), FLUSH_TIME);
    const linger = (): void => {
      clearTimeout(deadline);
      deadline = setTimeout(() => socket.destroy(), LINGER_TIME);
    };
    if (socket.writableFinished) linger();
    else socket.once('finish', linger);
    socket.once('close', () => clearTimeout(deadline));
    socket.resume();
    this.input.flush();
    socket.end();
  }

  private decode(step: () => Buffer[]): void {
    if (this.over) return;
    try {
      const batch = step();
      if (batch.length > 0) this.events.messages(batch);
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.finish({ code: CLOSE.internalError, reason: error.message });
    }
  }

  private finish(ending: Ending): void {
    if (this.over) return;
    this.over = true;
    this.events.ended(ending);
  }
}

/** The connection was not ended but lost. */
function lost(error: NodeJS.ErrnoException | undefined): Ending {
  const code = error?.code;
  // A write that comes after the server's reset is told as EPIPE.
  if (code === 'ECONNRESET' || code === 'EPIPE') return { code: CLOSE.internalError, reason: 'connection reset' };
  if (code === 'ETIMEDOUT') return { code: CLOSE.internalError, reason: 'connection timed out' };
  return { code: CLOSE.internalError, reason: `connection lost${code === undefined ? '' : `: ${code}`}` };
}
