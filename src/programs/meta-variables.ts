/**
 * What a program is told of the request that started it: the meta-variables of RFC 3875 section 4.1, and those that Apache
 * adds and real programs want. CGI programs and streams get the same. Values in, values out; in the RFC's order.
 */
import type { HeaderList, Request } from '../engine/engine.ts';
import { hostNumber } from '../net/address.ts';
import { hostText, parseHost } from '../net/host.ts';
import { isOfTrace, isTraced } from '../net/tracing.ts';
import type { User } from '../policy/auth/auth.ts';
import { SECRET_FIELD } from '../policy/auth/proxy-user.ts';
import { textOf } from '../routing/canonical-path.ts';
import type { ScriptPath } from './script-path.ts';

/** What the server says of itself, the same for every request of a route. */
export interface ServerFacts {
  /** Of runnel. */
  readonly version: string;
  readonly documentRoot?: string | undefined;
}

/** What the request itself does not say. */
export interface RequestFacts {
  /** Names the request in our log: UNIQUE_ID, and HTTP_X_REQUEST_ID as programs behind other servers know it. */
  readonly id: string;
  readonly script: ScriptPath;
  /** Bytes of the body that the program can read from stdin. */
  readonly bodyLength: number;
  /** REMOTE_HOST: the name of the client's address, where it was asked for. */
  readonly remoteHost?: string | undefined;
  /** As whom the client was authenticated, and how: REMOTE_USER and AUTH_TYPE. */
  readonly user?: User | undefined;
  /** Whether the program may see Authorization and Proxy-Authorization. */
  readonly passAuthorization: boolean;
}

/** Fields that never become HTTP_*. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  // Would become HTTP_PROXY, which many HTTP libraries obey (CVE-2016-5385, "httpoxy").
  'proxy',
  // Of the proxy in front of us, on every route: whoever knows it can claim to be anybody.
  SECRET_FIELD,
  // They have variables of their own.
  'content-length',
  'content-type',
  // The program gets the body whole and unchunked.
  'transfer-encoding',
  // Said by us.
  'x-request-id',
]);

/** RFC 3875 section 4.1.18 asks to hide these from programs. */
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization']);

/** The variables, by name. Every value is text without NUL as long as the request's and the facts' are. */
export function metaVariables(
  request: Request,
  { id, script, bodyLength, user, passAuthorization, remoteHost }: RequestFacts,
  { version, documentRoot }: ServerFacts,
): ReadonlyMap<string, string> {
  const { headers, listener, query } = request;
  const host = hostOf(headers);
  const result = new Map<string, string>();
  const set = (name: string, value: string | undefined) => {
    if (value !== undefined) result.set(name, value);
  };
  set('AUTH_TYPE', user?.type);
  if (bodyLength > 0 || announcesBody(headers)) set('CONTENT_LENGTH', String(bodyLength));
  set('CONTENT_TYPE', fieldOf(headers, 'content-type'));
  set('GATEWAY_INTERFACE', 'CGI/1.1');
  set('PATH_INFO', script.pathInfo);
  if (script.pathInfo !== '' && documentRoot !== undefined) set('PATH_TRANSLATED', documentRoot + script.pathInfo);
  set('QUERY_STRING', textOf(query ?? ''));
  const remote = hostNumber(request.remoteAddress);
  set('REMOTE_ADDR', remote);
  // Section 4.1.9 allows the address where no name was looked up.
  set('REMOTE_HOST', remoteHost ?? remote);
  set('REMOTE_USER', user?.name);
  set('REQUEST_METHOD', request.method);
  set('SCRIPT_NAME', script.scriptName);
  set('SERVER_NAME', host.name);
  set('SERVER_PORT', String(listener.port ?? host.port ?? (listener.secure ? 443 : 80)));
  set('SERVER_PROTOCOL', `HTTP/${request.version}`);
  set('SERVER_SOFTWARE', `runnel/${version}`);
  // As Apache sets them.
  set('DOCUMENT_ROOT', documentRoot);
  set('HTTPS', listener.secure ? 'on' : undefined);
  // Without it a php-cgi that was built with force-cgi-redirect refuses to work.
  set('REDIRECT_STATUS', '200');
  set('REMOTE_PORT', request.remotePort?.toString());
  set('REQUEST_SCHEME', listener.secure ? 'https' : 'http');
  set('REQUEST_URI', textOf(query === undefined ? request.path : `${request.path}?${query}`));
  set('SCRIPT_FILENAME', script.file);
  set('SERVER_ADDR', request.localAddress);
  set('UNIQUE_ID', id);
  set('HTTP_X_REQUEST_ID', id);
  addTls(request, set);
  addHeaders(result, headers, passAuthorization);
  return result;
}

/** As Apache's mod_ssl names them. Who the client is, is said only of a verified certificate: old programs ask for the name alone. */
function addTls(request: Request, set: (name: string, value: string | undefined) => void): void {
  const { tls, peerCertificate: peer } = request;
  if (tls === undefined) return;
  set('SSL_PROTOCOL', tls.protocol);
  set('SSL_CIPHER', tls.cipher);
  set('SSL_TLS_SNI', tls.serverName);
  set('SSL_CLIENT_VERIFY', peer === undefined ? 'NONE' : peer.verified ? 'SUCCESS' : `FAILED:${peer.problem}`);
  if (peer === undefined || !peer.verified) return;
  set('SSL_CLIENT_S_DN', peer.subject);
  set('SSL_CLIENT_S_DN_CN', peer.commonName);
  set('SSL_CLIENT_I_DN', peer.issuer);
  set('SSL_CLIENT_M_SERIAL', peer.serial);
  set('SSL_CLIENT_FINGERPRINT_SHA256', peer.fingerprint256);
  set('SSL_CLIENT_V_START', peer.validFrom);
  set('SSL_CLIENT_V_END', peer.validTo);
}

/** Section 4.1.18: HTTP_*, one variable a name. */
function addHeaders(result: Map<string, string>, headers: HeaderList, passAuthorization: boolean): void {
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    // "x-user", "x_user" and "x.user" would all become HTTP_X_USER: only the first may, so that no client can pose as a proxy.
    if (!/^[a-z0-9-]+$/.test(lower) || NOT_PASSED.has(lower)) continue;
    if (isOfTrace(lower) && !isTraced(headers)) continue;
    if (CREDENTIALS.has(lower) && !passAuthorization) continue;
    const variable = `HTTP_${lower.replaceAll('-', '_').toUpperCase()}`;
    const before = result.get(variable);
    // RFC 9110 section 5.3, and RFC 6265 section 4.2.1 for cookies.
    const separator = lower === 'cookie' ? '; ' : ', ';
    const text = asUtf8(value);
    result.set(variable, before === undefined ? text : before + separator + text);
  }
}

/** A field's value has one character per byte; a variable is text. */
function asUtf8(value: string): string {
  return /[^\x00-\x7f]/.test(value) ? Buffer.from(value, 'latin1').toString() : value;
}

function announcesBody(headers: HeaderList): boolean {
  return headers.some(([name]) => name === 'content-length' || name === 'transfer-encoding');
}

function fieldOf(headers: HeaderList, wanted: string): string | undefined {
  return headers.find(([name]) => name === wanted)?.[1];
}

/** The server's name as the client used it (section 4.1.14). Programs write it into links and shell commands: `parseHost` takes nothing else. */
function hostOf(headers: HeaderList): { readonly name: string; readonly port: number | undefined } {
  const host = parseHost(fieldOf(headers, 'host') ?? '');
  return host === undefined
    ? { name: 'localhost', port: undefined }
    : { name: hostText(host), port: host.port || undefined };
}
