/** The HTTP server that a stream polls or subscribes to: its requests have the fields of the configuration and, where it asks, name and password. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { HeaderList } from '../../../engine/engine.ts';
import type { UpstreamResponse } from '../../../upstream/exchange.ts';
import { type Login, parseLogin } from '../../../upstream/login.ts';
import type { UpstreamRequest } from '../../../upstream/request.ts';
import { serverIdentity, type TrustConfig } from '../../../upstream/trust.ts';
import { serverAt, Upstream, type UpstreamServer } from '../../../upstream/upstream.ts';
import type { FieldValue } from './keys.ts';

export interface SourceServerConfig extends TrustConfig {
  /** Names in lower case. */
  readonly request_headers: ReadonlyMap<string, FieldValue>;
  readonly login: string | undefined;
}

export interface SourceServerParts {
  /** http: or https:. */
  readonly url: URL;
  readonly config: SourceServerConfig;
  /** Of runnel. */
  readonly version: string;
  readonly maxConnections: number;
  /** Milliseconds until a connection must be made; undefined: the request's signal bounds it. */
  readonly connectTimeout?: number | undefined;
}

/** There is no answer because of name and password ("login"), or of a file that a request needs. The message goes to viewers: it gives nothing away. */
export class RequestFailure extends Error {
  override readonly name = 'RequestFailure';

  constructor(
    message: string,
    readonly outcome: 'login' | 'failed',
    /** For the log. */
    readonly detail?: string,
  ) {
    super(message);
  }
}

/** After how much silence the system asks whether the other end of a connection is still there. Milliseconds. */
export const KEEP_ALIVE_AFTER = 30_000;
/** A nonce may be stale once, and the one after it is new. */
const MAX_ASKED = 3;
/** Bytes of a file with a secret that are looked at. */
const MAX_SECRET = 64 * 1024;

export type ServerRequest = Pick<
  UpstreamRequest,
  'method' | 'target' | 'headers' | 'body' | 'switches' | 'signal' | 'times'
>;

export class SourceServer {
  private readonly upstream: Upstream;
  private login: { readonly text: string; readonly login: Login } | undefined;

  /** Throws an `Error` for a file of authorities that cannot be read. */
  constructor(private readonly parts: SourceServerParts) {
    this.upstream = new Upstream({ server: serverOf(parts), maxConnections: parts.maxConnections });
  }

  /** Rejects with an `UpstreamError`, a `RequestFailure` or the signal's reason. */
  async ask(request: ServerRequest): Promise<UpstreamResponse> {
    const login = this.readLogin();
    const fields = this.fields(request.headers);
    for (let asked = 1; ; asked++) {
      const authorization = login?.authorization(request.method, request.target);
      const headers =
        authorization === undefined ? fields : new Map([...fields, ['authorization', authorization] as const]);
      const response = await this.upstream.ask({ ...request, headers: [...headers] });
      if (response.status !== 401 || login === undefined) return response;
      if ('start' in response.body) response.body.cancel();
      if (!login.challenged(response.headers, authorization))
        throw refused(
          authorization === undefined
            ? 'it asks for a password by a method that runnel does not support (401)'
            : 'it refuses the name or the password (401)',
        );
      if (asked === MAX_ASKED) throw refused('it asks for a password again and again (401)');
    }
  }

  close(): void {
    this.upstream.close();
  }

  private fields(own: HeaderList): ReadonlyMap<string, string> {
    const { config, version } = this.parts;
    const configured = [...config.request_headers].map(([name, value]) => [name, fieldText(value)] as const);
    const all: HeaderList = [['user-agent', `runnel/${version}`], ...own, ...configured];
    const fields = new Map<string, string>();
    for (const [name, value] of all) fields.set(name.toLowerCase(), value);
    for (const [name, value] of fields) if (value === '') fields.delete(name);
    return fields;
  }

  /** Read anew each time: a password may be changed without a reload. What a server has asked for is remembered as long as it stays. */
  private readLogin(): Login | undefined {
    const path = this.parts.config.login;
    if (path === undefined) return undefined;
    const text = firstLine(path);
    if (this.login?.text !== text) {
      const login = parseLogin(text);
      if (login === undefined)
        throw new RequestFailure(
          'its password cannot be read',
          'login',
          `the first line of ${path} is not "name:password"`,
        );
      this.login = { text, login };
    }
    return this.login.login;
  }
}

function serverOf({ url, config, connectTimeout }: SourceServerParts): UpstreamServer {
  const server: UpstreamServer = {
    ...serverAt(url),
    ...(connectTimeout !== undefined && { timeout: connectTimeout }),
    keepAliveAfter: KEEP_ALIVE_AFTER,
  };
  if (server.tls === undefined) return server;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return { ...server, tls: { ...server.tls, ...serverIdentity(config, isIP(host) === 0 ? host : undefined) } };
}

/** One character for each byte. */
function fieldText(value: FieldValue): string {
  return typeof value === 'string' ? value : Buffer.from(firstLine(value.file)).toString('latin1');
}

function firstLine(path: string): string {
  try {
    return (readFileSync(path, 'utf8').slice(0, MAX_SECRET).split(/\r?\n/, 1)[0] ?? '').trim();
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new RequestFailure('a file for its requests cannot be read', 'failed', detail);
  }
}

function refused(message: string): RequestFailure {
  return new RequestFailure(message, 'login');
}
