/** A source that is a connection: messages to the server, messages from it, an ending from how it was closed. */
import type { Socket } from 'node:net';
import { CLOSE, type Ending } from '../../message.ts';
import { FramedSource, type FramingOptions } from '../framed.ts';
import type { SourceEvents } from '../source.ts';

/** How long a server may take for what was written to it after its client has left. Milliseconds. */
const FLUSH_TIME = 5000;
/** How long it may then take to end its side. Milliseconds. */
const LINGER_TIME = 1000;

export class ConnectionSource extends FramedSource {
  private released = false;
  private trouble: NodeJS.ErrnoException | undefined;

  /** @param socket from `Connections`: connected, half-open allowed, paused. It is this source's from here on. */
  constructor(
    private readonly socket: Socket,
    options: FramingOptions,
    events: SourceEvents,
  ) {
    super(options, events, socket);
    socket.on('data', (chunk: Buffer) => this.decode(chunk));
    socket.on('end', () => {
      this.decode(undefined);
      this.finish({ code: CLOSE.normal, reason: 'connection closed' });
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.trouble = error;
    });
    socket.on('close', () => this.finish(lost(this.trouble)));
    // Events come later than this constructor: the channel must know its source first.
    if (socket.destroyed) queueMicrotask(() => this.finish(lost(this.trouble)));
    socket.resume();
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
    this.flush();
    socket.end();
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
