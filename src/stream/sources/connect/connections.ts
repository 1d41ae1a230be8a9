/** The connections of one route to the server behind it: made with a deadline, counted, bounded, ended. */
import { connect, type LookupFunction, type Socket, type SocketConstructorOpts } from 'node:net';
import type { Remote } from '../../../config/values/remote.ts';

/** What became of an attempt. */
export type Outcome = 'connected' | Failure;
export type Failure = 'refused' | 'unreachable' | 'unresolved' | 'timeout' | 'max' | 'left' | 'failed';

/** There is no connection. The message says why, for the log; `failure` is for the counts and for the client's status. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError';
  constructor(
    readonly failure: Failure,
    message: string,
    /** Whether it may be otherwise in a moment: it is the gateway that is short of something. */
    readonly passing = false,
  ) {
    super(message);
  }
}

export interface ConnectionsOptions {
  readonly target: Remote;
  /** Milliseconds until a connection must be there. */
  readonly timeout: number;
  readonly max: number;
}

/** How long a connection that said nothing is left alone before the system asks whether the server is still there. Milliseconds. */
const KEEP_ALIVE_AFTER = 30_000;
/** How long those that are being ended may take when the gateway stops. Milliseconds. */
const CLOSE_TIME = 1000;

export class Connections {
  private readonly sockets = new Set<Socket>();
  private readonly lookup = sharedLookup();
  private closed = false;

  constructor(private readonly options: ConnectionsOptions) {}

  /** Connections that are open, being made or being ended. */
  get size(): number {
    return this.sockets.size;
  }

  /**
   * A new connection, paused: nothing of what the server says is read before `resume`. Rejects with a `ConnectError`, with
   * `left` when `signal` says that nobody waits any more.
   */
  open(signal: AbortSignal): Promise<Socket> {
    const { target, timeout, max } = this.options;
    if (signal.aborted) return Promise.reject(nobodyWaits());
    if (this.closed) return Promise.reject(stopping());
    if (this.size >= max)
      return Promise.reject(
        new ConnectError('max', `${max} connections of this route are open already (max_connections)`, true),
      );
    return new Promise((resolve, reject) => {
      const socket = this.start();
      const settle = (): void => {
        clearTimeout(deadline);
        signal.removeEventListener('abort', abort);
        socket.off('error', fail);
        socket.off('close', closed);
      };
      const fail = (error: Error): void => {
        settle();
        socket.destroy();
        reject(error instanceof ConnectError ? error : asConnectError(error, target));
      };
      const abort = (): void => fail(nobodyWaits());
      // Only when the gateway stops: everything else is an error.
      const closed = (): void => fail(stopping());
      const deadline = setTimeout(
        () => fail(new ConnectError('timeout', `${target.text} did not answer within ${timeout} ms`)),
        timeout,
      );
      signal.addEventListener('abort', abort);
      socket.on('error', fail);
      socket.on('close', closed);
      socket.once('connect', () => {
        settle();
        resolve(socket);
      });
    });
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

  private start(): Socket {
    const { target } = this.options;
    // The server may end its side while a client still speaks: who uses the socket decides what that means.
    const half: SocketConstructorOpts = { allowHalfOpen: true };
    const socket =
      target.kind === 'unix'
        ? connect({ ...half, path: target.path })
        : connect({
            ...half,
            host: target.host,
            port: target.port,
            lookup: this.lookup,
            noDelay: true,
            keepAlive: true,
            keepAliveInitialDelay: KEEP_ALIVE_AFTER,
          });
    // Read from the first byte on by whoever takes it, and not before.
    socket.pause();
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    // An error also comes between two owners; 'close' tells.
    socket.on('error', () => undefined);
    return socket;
  }
}

function stopping(): ConnectError {
  return new ConnectError('failed', 'the gateway is stopping', true);
}

function nobodyWaits(): ConnectError {
  return new ConnectError('left', 'its client left before the connection was made');
}

/**
 * Looks a name up anew for every connection, but once for those that ask in the same moment: a lookup holds one of the few threads that
 * files are read with too, for many seconds where a name server does not answer.
 */
function sharedLookup(): LookupFunction {
  const pending = new Map<string, Parameters<LookupFunction>[2][]>();
  return (name, options, callback) => {
    const key = `${name} ${JSON.stringify(options)}`;
    const waiting = pending.get(key);
    if (waiting !== undefined) {
      waiting.push(callback);
      return;
    }
    const callbacks = [callback];
    pending.set(key, callbacks);
    // Loaded with the first name: a gateway without such a stream does not need it.
    void import('node:dns').then(({ lookup }) =>
      lookup(name, options, (...answer) => {
        pending.delete(key);
        for (const each of callbacks) each(...answer);
      }),
    );
  };
}

const FAILURES: ReadonlyMap<string, Failure> = new Map([
  ['ECONNREFUSED', 'refused'],
  // Of a Unix socket: nobody has made it, or it is not for us.
  ['ENOENT', 'refused'],
  ['EACCES', 'refused'],
  ['EPERM', 'refused'],
  ['ECONNRESET', 'refused'],
  ['EHOSTUNREACH', 'unreachable'],
  ['ENETUNREACH', 'unreachable'],
  ['EHOSTDOWN', 'unreachable'],
  ['ENETDOWN', 'unreachable'],
  ['ETIMEDOUT', 'timeout'],
  ['ENOTFOUND', 'unresolved'],
]);
/** The gateway has no descriptor, memory or port left; EAGAIN: the line before a Unix socket is full. */
const PASSING: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL', 'EAGAIN']);

function asConnectError(error: NodeJS.ErrnoException, target: Remote): ConnectError {
  const code = error.code ?? 'EIO';
  const failure = FAILURES.get(code) ?? (code.startsWith('EAI_') ? 'unresolved' : 'failed');
  return new ConnectError(failure, `cannot connect to ${target.text}: ${code}`, PASSING.has(code));
}
