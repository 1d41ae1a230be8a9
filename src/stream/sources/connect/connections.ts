/** The connections of one route to the server behind it: made with a deadline, counted, bounded, ended. */
import type { Socket } from 'node:net';
import type { Remote } from '../../../config/values/remote.ts';
import { HttpError } from '../../../http/errors.ts';
import type { Held } from '../../../ownership/held.ts';
import { asStartError, noRoom } from '../../../programs/start-error.ts';
import { ConnectError, type ConnectFailure, Connector } from '../../../upstream/connecting.ts';

/** What became of an attempt. */
export type ConnectOutcome = 'connected' | ConnectFailure | 'max' | 'left';

export interface ConnectionsOptions {
  readonly target: Remote;
  /** Milliseconds until a connection must be there. */
  readonly timeout: number;
  readonly max: number;
  /** Is told of each attempt. */
  readonly counted: (outcome: ConnectOutcome) => void;
}

/** How long a connection that said nothing is left alone before the system asks whether the server is still there. Milliseconds. */
const KEEP_ALIVE_AFTER = 30_000;
/** How long those that are being ended may take when the gateway stops. Milliseconds. */
const CLOSE_TIME = 1000;

export class Connections {
  private readonly sockets = new Set<Socket>();
  private readonly connector: Connector;
  private closed = false;

  constructor(private readonly options: ConnectionsOptions) {
    this.connector = new Connector({
      remote: options.target,
      timeout: options.timeout,
      allowHalfOpen: true,
      keepAliveAfter: KEEP_ALIVE_AFTER,
      opened: (socket) => {
        this.sockets.add(socket);
        socket.once('close', () => this.sockets.delete(socket));
      },
    });
  }

  /** Connections that are open, being made or being ended. */
  get size(): number {
    return this.sockets.size;
  }

  /** A new connection, paused, see `Connector`. Rejects with the `HttpError` that refuses the client. */
  async open(signal: AbortSignal): Promise<Held<Socket>> {
    const { max, counted } = this.options;
    if (this.closed) throw this.refusal('failed', stopping());
    if (this.size >= max)
      throw this.refusal('max', noRoom(`${max} connections of this route are open already (max_connections)`));
    try {
      const connection = await this.connector.connect(signal);
      counted('connected');
      return connection;
    } catch (error) {
      if (signal.aborted)
        throw this.refusal('left', new HttpError(499, 'the client left before the connection was made'));
      // `close` also ends what is still being made.
      if (this.closed) throw this.refusal('failed', stopping());
      throw error instanceof ConnectError ? this.refusal(error.failure, asStartError(error)) : error;
    }
  }

  /** Makes no more, and ends those that are left. Resolves when there is none. */
  async close(): Promise<void> {
    this.closed = true;
    if (this.size === 0) return;
    // The last words of clients that were just told to leave may still be on their way.
    const cut = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy();
    }, CLOSE_TIME);
    await Promise.all([...this.sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    clearTimeout(cut);
  }

  private refusal(outcome: ConnectOutcome, error: unknown): unknown {
    this.options.counted(outcome);
    return error;
  }
}

function stopping(): HttpError {
  return noRoom('the gateway is stopping');
}
