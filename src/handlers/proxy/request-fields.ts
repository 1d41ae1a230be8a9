/**
 * What an upstream is sent of a request's head. Pure.
 *
 * Nothing of what a client sends can stand for something that a proxy says: those fields are removed in every spelling that an application
 * may take for them ("X_Forwarded_For" becomes the same variable for CGI and WSGI), and so are the ones that are between two neighbours only.
 */
import { type HeaderList, headerValue, type Request } from '../../engine/engine.ts';
import { hostNumber } from '../../net/address.ts';
import { CONNECTION_FIELDS } from '../../net/connection-fields.ts';
import { isOfTrace, isTraced } from '../../net/tracing.ts';
import type { ClientRequest } from '../../policy/addresses.ts';
import type { User } from '../../policy/auth/auth.ts';
import { SECRET_FIELD } from '../../policy/auth/proxy-user.ts';
import { bytesOf, type CanonicalPath, uriOf } from '../../routing/canonical-path.ts';

export interface RequestFieldOptions {
  /** The one that marks what has passed this route: not known to anybody before. */
  readonly via: string;
  readonly forwarded: 'x-forwarded-for' | 'forwarded' | 'none';
  /** What the upstream does not see of the path, without the last slash; "" for nothing. */
  readonly prefix: string;
  /** Names in lower case; "" removes a field. */
  readonly own: ReadonlyMap<string, string>;
  /** In lower case: the field in which a proxy in front of us names the user. Whoever has proved it is told of by Remote-User; undefined for none. */
  readonly userField?: string | undefined;
  /** The route asks for a password or a token itself: what the client shows is for the gateway only. */
  readonly keepsAuthorization: boolean;
}

/** Who a proxy says that the client is, and which request this is: both are ours to say. The last one is for the user that this gateway has authenticated. */
const CLAIMS = /^(?:forwarded|x-forwarded(?:-.*)?|x-ingress-path|x-real-ip|x-request-id|remote-user)$/;
/** `proxy` becomes HTTP_PROXY of a CGI program (CVE-2016-5385). The body is here already, so nothing is expected. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  ...CONNECTION_FIELDS,
  'host',
  'content-length',
  'expect',
  'http2-settings',
  'proxy',
  'proxy-authorization',
  SECRET_FIELD,
  'via',
]);
const PLAIN = /^[a-z0-9-]+$/;
const USUAL: ReadonlyMap<string, string> = new Map(
  [
    'Accept',
    'Accept-Encoding',
    'Accept-Language',
    'Authorization',
    'Cache-Control',
    'Content-Type',
    'Cookie',
    'If-Modified-Since',
    'If-None-Match',
    'Origin',
    'Range',
    'Referer',
    'User-Agent',
  ].map((name) => [name.toLowerCase(), name]),
);

/** Whether a request has been through the route with this mark. */
export function hasPassed({ headers }: Request, via: string): boolean {
  return headers.some(([name, value]) => name === 'via' && value.includes(via));
}

/** Names are written as in the RFCs, for servers that compare them so. @param id the request's name in our log */
export function requestFields(
  request: ClientRequest,
  id: string,
  user: User | undefined,
  options: RequestFieldOptions,
): HeaderList {
  const { own, keepsAuthorization, userField } = options;
  const named = connectionNames(request.headers);
  const fields: [string, string][] = [];
  for (const [name, value] of request.headers) {
    if (NOT_PASSED.has(name) || named?.has(name) === true || own.has(name)) continue;
    if (isOfTrace(name) && !isTraced(request.headers)) continue;
    if (keepsAuthorization && name === 'authorization') continue;
    const plain = PLAIN.test(name) ? name : name.replaceAll(/[^a-z0-9]/g, '-');
    if (CLAIMS.test(plain) || plain === userField || (plain !== name && (own.has(plain) || NOT_PASSED.has(plain))))
      continue;
    // Two of them are one to nobody but a proxy (RFC 6265 section 5.4).
    const cookies = name === 'cookie' ? fields.find(([known]) => known === 'Cookie') : undefined;
    if (cookies !== undefined) cookies[1] += `; ${value}`;
    else fields.push([titleCase(name), value]);
  }
  addForwarded(fields, request, options);
  if (!own.has('x-request-id')) fields.push(['X-Request-Id', id]);
  if (user !== undefined && !own.has('remote-user')) fields.push(['Remote-User', inOneLine(user.name)]);
  for (const [name, value] of own) if (value !== '') fields.push([titleCase(name), value]);
  const before = request.headers.filter(([name]) => name === 'via').map(([, value]) => value);
  fields.push(['Via', [...before, `${request.version} ${options.via}`].join(', ')]);
  return fields;
}

/** What the upstream is asked for: the path in the form that the route was found by, so that both mean the same. */
export function requestTarget(path: CanonicalPath, query: string | undefined, prefix: string): string {
  const whole = uriOf(path, query).replaceAll('#', '%23');
  if (prefix === '') return whole;
  const rest = whole.slice(prefix.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function addForwarded(
  fields: [string, string][],
  request: ClientRequest,
  { forwarded, prefix, own }: RequestFieldOptions,
): void {
  const { listener, remoteAddress, headers } = request;
  const client = hostNumber(remoteAddress);
  const host = headerValue(headers, 'host') ?? '';
  const scheme = listener.secure ? 'https' : 'http';
  const add = (name: string, value: string): void => {
    if (value !== '' && !own.has(name.toLowerCase())) fields.push([name, value]);
  };
  if (forwarded === 'forwarded') {
    const node = client === '' ? 'unknown' : client.includes(':') ? `"[${client}]"` : client;
    add('Forwarded', [`for=${node}`, ...(host === '' ? [] : [`host="${host}"`]), `proto=${scheme}`].join(';'));
  }
  if (forwarded !== 'x-forwarded-for') return;
  add('X-Forwarded-For', client);
  add('X-Forwarded-Proto', scheme);
  add('X-Forwarded-Host', host);
  const whole = `${request.prefix ?? ''}${prefix}`;
  add('X-Forwarded-Prefix', whole);
  // Home Assistant's own name for it, for what was made to run behind its ingress.
  if (request.proxied === true && headerValue(headers, 'x-ingress-path') !== undefined) add('X-Ingress-Path', whole);
}

/** A name in UTF-8, one character for each byte. A certificate's may have anything in it. */
function inOneLine(name: string): string {
  return bytesOf(name).replaceAll(/[\x00-\x1f\x7f]/g, ' ');
}

/** The fields that are for this connection only, because Connection names them. */
export function connectionNames(headers: HeaderList): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined;
  for (const [name, value] of headers) {
    if (name !== 'connection') continue;
    names ??= new Set();
    for (const part of value.split(',')) names.add(part.trim().toLowerCase());
  }
  return names;
}

function titleCase(name: string): string {
  return USUAL.get(name) ?? name.replaceAll(/(?:^|-)[a-z]/g, (letters) => letters.toUpperCase());
}
