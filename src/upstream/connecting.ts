/** Connecting to a server: its name is looked up, the connection is made and, where asked for, encrypted, all within one deadline. */
import { connect, type LookupFunction, type OnReadOpts, type Socket } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { Remote } from '../config/values/remote.ts';
import { systemCode } from '../ops/system-errors.ts';
import { Held } from '../ownership/held.ts';

/** Why there is no connection. */
export type ConnectFailure = 'refused' | 'unreachable' | 'unresolved' | 'timeout' | 'certificate' | 'failed';

/** The server has shown another key than the pinned ones. */
const WRONG_KEY = 'CERT_KEY_NOT_PINNED';

/** There is no connection. The message is for the log: it names the server. `cause` is the system's own error, where there is one. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError';
  readonly failure: ConnectFailure;
  /** Whether it may be otherwise in a moment: the gateway is short of something, or the server's queue is full. */
  readonly passing: boolean;

  constructor(
    remote: Remote,
    /** As the system names it: "ECONNREFUSED", "ENOENT", … */
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super(`cannot connect to ${remote.text}: ${SENTENCES.get(code) ?? code}`, options);
    this.failure = FAILURES.get(code) ?? (code.startsWith('EAI_') ? 'unresolved' : untold(code));
    this.passing = PASSING.has(code);
  }
}

/** OpenSSL has a code of its own for each thing that can be wrong with a certificate, and Node one for its name. */
function untold(code: string): ConnectFailure {
  return /CERT|UNABLE_TO_|CRL_|HOSTNAME_MISMATCH|INVALID_(?:CA|PURPOSE)/.test(code) ? 'certificate' : 'failed';
}

const SENTENCES: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such socket (ENOENT): is the server running?'],
  ['ECONNREFUSED', 'nothing listens there (ECONNREFUSED): is the server running?'],
  ['EACCES', 'permission denied (EACCES): check the owner and the mode of the socket'],
  ['EAGAIN', 'its queue is full (EAGAIN)'],
  ['ENOTFOUND', 'there is no such host (ENOTFOUND)'],
  ['EAI_AGAIN', 'its name cannot be looked up now (EAI_AGAIN): is the network up?'],
  ['EHOSTUNREACH', 'no way leads there (EHOSTUNREACH)'],
  ['ENETUNREACH', 'no way leads there (ENETUNREACH): is the network up?'],
  ['ETIMEDOUT', 'it did not answer in time (ETIMEDOUT)'],
  [WRONG_KEY, 'the key of its certificate is not the one that "pin" names'],
]);

const FAILURES: ReadonlyMap<string, ConnectFailure> = new Map([
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

/** The gateway has no descriptor, memory or port left; EAGAIN: the queue of a Unix socket is full. */
const PASSING: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL', 'EAGAIN']);

/** Who the server has to be. */
export interface ServerIdentity extends Pick<ConnectionOptions, 'servername' | 'ALPNProtocols' | 'ca'> {
  /**
   * SHA-256 of the public keys (SubjectPublicKeyInfo, DER) of which it must show one, base64. They say who it is, so without a `ca` of ours its certificate
   * need not be anybody's else.
   */
  readonly pins?: readonly string[] | undefined;
}

export interface ConnectorOptions {
  readonly remote: Remote;
  /** Milliseconds until a connection must be there. Undefined: the signal is the only deadline. */
  readonly timeout?: number;
  /** The server may end its side while ours goes on: whoever uses the connection decides what that means. */
  readonly allowHalfOpen?: boolean;
  /** After how many milliseconds of silence the system asks whether the server is still there. Undefined: never. */
  readonly keepAliveAfter?: number;
  /** TLS on top of TCP. The server's certificate is verified. */
  readonly tls?: ServerIdentity;
  /** Is told of each socket before it is connected, for whoever counts or ends them. */
  readonly opened?: (socket: Socket) => void;
}

/** Makes the connections to one server. */
export class Connector {
  private readonly lookup = sharedLookup();

  constructor(private readonly options: ConnectorOptions) {}

  /**
   * A new connection, paused: nothing of what the server says is read before `resume`. An error of it needs no listener: 'close' tells.
   * Rejects with a `ConnectError`, or with the signal's reason. After that the signal still ends the connection until it is taken.
   *
   * @param onread takes what the server says instead of the socket's readable side
   */
  async connect(signal: AbortSignal, onread?: OnReadOpts): Promise<Held<Socket>> {
    signal.throwIfAborted();
    const { remote, timeout, tls, opened } = this.options;
    // Loaded here, because most servers are on the same machine.
    const secure = tls === undefined ? undefined : await import('node:tls');
    signal.throwIfAborted();
    const address = { ...this.address(), ...(onread === undefined ? {} : { onread }) };
    const socket = secure === undefined ? connect(address) : secure.connect({ ...address, ...verification(tls) });
    // Read from the first byte on by whoever takes it, and not before.
    socket.pause();
    socket.on('error', () => undefined);
    opened?.(socket);
    const held = new Held(socket, () => socket.destroy(), signal);
    const late = (): void => void socket.destroy(new ConnectError(remote, 'ETIMEDOUT'));
    const deadline = timeout === undefined ? undefined : setTimeout(late, timeout);
    try {
      await connected(socket, secure === undefined ? 'connect' : 'secureConnect');
      if (tls?.pins !== undefined && !(await shows(socket as TLSSocket, tls.pins)))
        throw new ConnectError(remote, WRONG_KEY);
      return held;
    } catch (error) {
      held.giveBack();
      if (signal.aborted) throw signal.reason;
      throw error instanceof ConnectError
        ? error
        : new ConnectError(remote, systemCode(error) ?? 'EIO', { cause: error });
    } finally {
      clearTimeout(deadline);
    }
  }

  private address() {
    const { remote, allowHalfOpen = false, keepAliveAfter } = this.options;
    if (remote.kind === 'unix') return { path: remote.path, allowHalfOpen };
    return {
      host: remote.host,
      port: remote.port,
      lookup: this.lookup,
      allowHalfOpen,
      noDelay: true,
      keepAlive: keepAliveAfter !== undefined,
      keepAliveInitialDelay: keepAliveAfter ?? 0,
    };
  }
}

function verification({ pins, ...identity }: ServerIdentity = {}): ConnectionOptions {
  return { ...identity, rejectUnauthorized: pins === undefined || identity.ca !== undefined };
}

async function shows(socket: TLSSocket, pins: readonly string[]): Promise<boolean> {
  const { createHash } = await import('node:crypto');
  const key = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
  return key !== undefined && pins.includes(createHash('sha256').update(key).digest('base64'));
}

/** Rejects with the socket's error, or with one of its own where it was closed without any. */
function connected(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    socket.once('error', reject).once('close', closed);
    socket.once(event, () => {
      socket.off('error', reject).off('close', closed);
      resolve();
    });
  });
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
    // Loaded with the first name: a gateway that only connects to addresses does not need it.
    void import('node:dns').then(({ lookup }) =>
      lookup(name, options, (...answer) => {
        pending.delete(key);
        for (const each of callbacks) each(...answer);
      }),
    );
  };
}
