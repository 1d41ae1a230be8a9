/** One connection to the server: TCP or a Unix socket, through a proxy where there is one, encrypted and judged where the URL says so. */
import { isIP, type Socket } from 'node:net';
import { ConnectError, Connector } from '../../upstream/connecting.ts';
import { ConnectionError, type Failure } from '../errors.ts';
import { endpoint, type Plan, type Tls } from '../options.ts';
import { environmentProxy, type HttpProxy, parseProxy, tunnel } from './proxy.ts';
import { authorities, judge, pinsOf } from './trust.ts';
import { type Limit, within } from './within.ts';

export class Dialer {
  private readonly connector: Connector;
  private readonly proxy: HttpProxy | undefined;

  /** Throws a `TypeError` where the plan cannot be meant. */
  constructor(
    private readonly plan: Plan,
    env: { readonly [name: string]: string | undefined } = process.env,
  ) {
    const { url, socketPath, times } = plan;
    this.proxy = proxyOf(plan, env);
    pinsOf(plan.tls);
    pinsOf(plan.proxyTls);
    const first = this.proxy?.url ?? url;
    const remote =
      socketPath === undefined
        ? ({ kind: 'tcp', ...endpoint(first), text: this.proxy?.name ?? url.host } as const)
        : ({ kind: 'unix', path: socketPath, text: socketPath } as const);
    this.connector = new Connector({ remote, timeout: times.connect, keepAliveAfter: times.ping });
  }

  /** A paused connection over which nothing of the stream was sent. Rejects with a `ConnectionError`, or with the signal's reason. */
  async dial(signal: AbortSignal): Promise<Socket> {
    const { url, times, tls, proxyTls } = this.plan;
    let socket = await this.connect(signal);
    try {
      if (this.proxy !== undefined) {
        if (this.proxy.url.protocol === 'https:') socket = await this.encrypt(socket, this.proxy.url, proxyTls, signal);
        const late = `the proxy ${this.proxy.name} did not answer within ${times.answer} ms`;
        await tunnel(socket, this.proxy, url, limit(times.answer, late, signal));
      }
      if (url.protocol === 'https:') socket = await this.encrypt(socket, url, tls, signal);
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  private async connect(signal: AbortSignal): Promise<Socket> {
    try {
      const socket = (await this.connector.connect(signal)).take();
      if (socket === undefined) throw signal.reason;
      return socket;
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      // It has no TLS of its own here.
      const { failure: told } = error;
      const failure: Failure = told === 'failed' || told === 'certificate' ? 'unreachable' : told;
      throw new ConnectionError(failure, error.message, { cause: error });
    }
  }

  /** TLS over `under`, which is destroyed with it. The certificate is judged here and not by Node, so that there is one place for it. */
  private async encrypt(under: Socket, url: URL, tls: Tls, signal: AbortSignal): Promise<Socket> {
    const { checkServerIdentity, connect: connectSecure } = await import('node:tls');
    const { host } = endpoint(url);
    const name = tls.serverName ?? host;
    let misnamed: Error | undefined;
    const roots = tls.trust === undefined && tls.ca === undefined && pinsOf(tls).length > 0 ? [] : authorities(tls);
    const { cert, key, passphrase } = tls;
    const secured = (): ReturnType<typeof connectSecure> =>
      connectSecure({
        socket: under,
        host: name,
        ...(isIP(name) === 0 ? { servername: name } : {}),
        ...(roots === undefined ? {} : { ca: [...roots] }),
        ...(cert === undefined ? {} : { cert, key: key ?? cert }),
        ...(passphrase === undefined ? {} : { passphrase }),
        ALPNProtocols: ['http/1.1'],
        rejectUnauthorized: false,
        checkServerIdentity: (_host, certificate) => {
          misnamed = checkServerIdentity(name, certificate);
          return misnamed;
        },
      });
    const socket = usable(secured);
    socket.on('error', () => undefined);
    socket.pause();
    try {
      const late = `${url.host} did not finish the TLS handshake within ${this.plan.times.tls} ms`;
      await within<void>(limit(this.plan.times.tls, late, signal), (resolve, reject) => {
        const failed = (cause: Error): void => reject(handshakeFailure(url.host, cause));
        socket.once('secureConnect', resolve);
        socket.once('error', failed);
        socket.once('close', () => failed(new Error('it closed the connection')));
      });
      const problem = socket.authorized ? undefined : (misnamed ?? codeError(socket.authorizationError));
      await judge(socket, tls, problem, url.host);
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }
}

function proxyOf(
  { url, proxy, socketPath }: Plan,
  env: { readonly [name: string]: string | undefined },
): HttpProxy | undefined {
  if (proxy === false || socketPath !== undefined) return undefined;
  return proxy === undefined ? environmentProxy(url, env) : parseProxy(proxy);
}

function limit(time: number, late: string, signal: AbortSignal): Limit {
  return { time, signal, late: () => new ConnectionError('timeout', late) };
}

/** Certificates and keys are read at this point. */
function usable<T>(make: () => T): T {
  try {
    return make();
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new ConnectionError('protocol', `the certificates or the key that were given cannot be used: ${words}`, {
      cause,
    });
  }
}

/** OpenSSL's, when the first bytes are those of another protocol: which one depends on its version. */
const NO_TLS: ReadonlySet<string> = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']);

function handshakeFailure(server: string, cause: Error): ConnectionError {
  const { code, reason } = cause as { readonly code?: unknown; readonly reason?: unknown };
  const words = NO_TLS.has(String(code))
    ? 'its answer is not TLS'
    : typeof reason === 'string' && reason !== ''
      ? reason
      : cause.message;
  return new ConnectionError('protocol', `the TLS handshake with ${server} failed: ${words}`, { cause });
}

/** Node types it as an error and gives the code as a text. */
function codeError(code: unknown): Error {
  return code instanceof Error ? code : new Error(String(code));
}
