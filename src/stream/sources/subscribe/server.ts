/** The HTTP server that a stream subscribes to: its requests have the fields of the configuration and, where it asks, name and password. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { HeaderList } from '../../../engine/engine.ts';
import type { UpstreamResponse } from '../../../upstream/exchange.ts';
import { type Login, parseLogin } from '../../../upstream/login.ts';
import type { UpstreamRequest } from '../../../upstream/request.ts';
import { serverIdentity, type TrustConfig } from '../../../upstream/trust.ts';
import { serverAt, Upstream, type UpstreamServer } from '../../../upstream/upstream.ts';
import type { FieldValue } from './keys.ts';
import { SubscriptionFailure } from './subscription.ts';

export interface ServerConfig extends TrustConfig {
  /** Names in lower case. */
  readonly request_headers: ReadonlyMap<string, FieldValue>;
  readonly login: string | undefined;
  readonly connect_timeout: number;
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

export class SubscribeServer {
  private readonly upstream: Upstream;
  private login: { readonly text: string; readonly login: Login } | undefined;

  /** @param url http: or https:. Throws an `Error` for a file of authorities that cannot be read. */
  constructor(
    url: URL,
    private readonly config: ServerConfig,
    /** Of runnel. */
    private readonly version: string,
    maxConnections: number,
  ) {
    this.upstream = new Upstream({ server: serverOf(url, config), maxConnections });
  }

  /** Rejects with an `UpstreamError`, a `SubscriptionFailure` or the signal's reason. */
  async ask(request: ServerRequest): Promise<UpstreamResponse> {
    const login = this.readLogin();
    const fields = this.fields(request.headers);
    for (let asked = 1; ; asked++) {
      const authorization = login?.authorization(request.method, request.target);
      const headers =
        authorization === undefined ? fields : new Map([...fields, ['authorization', authorization] as const]);
      const response = await this.upstream.ask({ ...request, headers: [...headers] });
      if (response.status !== 401) return response;
      if ('start' in response.body) response.body.cancel();
      if (login === undefined) throw refused('it asks for a password (401)');
      if (!login.challenged(response.headers, authorization))
        throw refused(
          authorization === undefined
            ? 'it asks for a password in a way that is not understood (401)'
            : 'it refuses the name or the password (401)',
        );
      if (asked === MAX_ASKED) throw refused('it asks for a password again and again (401)');
    }
  }

  close(): void {
    this.upstream.close();
  }

  private fields(own: HeaderList): ReadonlyMap<string, string> {
    const configured = [...this.config.request_headers].map(([name, value]) => [name, fieldText(value)] as const);
    const all: HeaderList = [['user-agent', `runnel/${this.version}`], ...own, ...configured];
    const fields = new Map<string, string>();
    for (const [name, value] of all) fields.set(name.toLowerCase(), value);
    for (const [name, value] of fields) if (value === '') fields.delete(name);
    return fields;
  }

  /** Read anew each time: a password may be changed without a reload. What a server has asked for is remembered as long as it stays. */
  private readLogin(): Login | undefined {
    const path = this.config.login;
    if (path === undefined) return undefined;
    const text = firstLine(path);
    if (this.login?.text !== text) {
      const login = parseLogin(text);
      if (login === undefined)
        throw new SubscriptionFailure('its password cannot be read', {
          outcome: 'login',
          detail: `the first line of ${path} is not "name:password"`,
        });
      this.login = { text, login };
    }
    return this.login.login;
  }
}

function serverOf(url: URL, config: ServerConfig): UpstreamServer {
  const server = { ...serverAt(url), timeout: config.connect_timeout, keepAliveAfter: KEEP_ALIVE_AFTER };
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
    throw new SubscriptionFailure('a file for its requests cannot be read', {
      outcome: 'failed',
      detail: error instanceof Error ? error.message : String(error),
    });
  }
}

function refused(message: string): SubscriptionFailure {
  return new SubscriptionFailure(message, { outcome: 'login' });
}
