/** The keys of a listener. */
import { meantAddress } from '../values/meant.ts';
import { hostPattern } from '../values/names.ts';
import { address, boolean, choice } from '../values/simple.ts';
import { isTable, listOf, type Rule, table, together } from '../values/tables.ts';
import { optional, preset, required, type Values, type ValueType } from '../values/value.ts';
import { confinementTypes } from './programs.ts';
import { tls } from './tls.ts';

/** What a file without `[[listen]]` has. */
export const USUAL_LISTEN = [{ address: ':8080' }] as const;

export interface Redirect {
  readonly scheme: 'https' | 'http';
  /** Where the clients find it; undefined: on the port of the first TLS listener. */
  readonly port: number | undefined;
}

const redirect: ValueType<Redirect> = {
  expected: '"https", or "https:" or "http:" and a port',
  json: { type: 'string', pattern: '^(https|https?:[0-9]{1,5})$' },
  read(value, at, reading) {
    const match = typeof value === 'string' ? /^(?:(https)|(https?):(\d{1,5}))$/.exec(value) : null;
    const port = match?.[3] === undefined ? undefined : Number(match[3]);
    if (match !== null && (port === undefined || (port > 0 && port < 65536)))
      return { scheme: match[2] === 'http' ? 'http' : 'https', port };
    reading.wrong(at, value, this.expected, value === true ? 'write "https"' : undefined);
    return undefined;
  },
};

const ANYBODY_WRITES = 0o222;

/** Permissions, as chmod(1) takes them in digits. Kept as a number. */
const permissions: ValueType<number> = {
  expected: 'permissions in octal digits, as a string such as "0660"',
  json: { type: 'string', pattern: '^0?[0-7]{3}$' },
  read(value, at, reading) {
    if (typeof value !== 'string' || !/^0?[0-7]{3}$/.test(value)) {
      const isDecimal = typeof value === 'number' && /^[0-7]{3}$/.test(String(value));
      reading.wrong(at, value, this.expected, isDecimal ? `write "0${value}"` : undefined);
      return undefined;
    }
    const mode = Number.parseInt(value, 8);
    if ((mode & ANYBODY_WRITES) !== 0) return mode;
    reading.problem(at, 'lets nobody connect: to connect, a user needs the permission to write, as in "0660"');
    return undefined;
  },
};

/** Only the path of a Unix socket that we make has an owner and permissions of ours. */
export const fileNeedsPath = (key: 'address' | 'listen'): Rule => ({
  note: '`mode`, `owner` and `group` only with an address `"unix:PATH"`.',
  json: {},
  check(value, at, reading) {
    const address = value[key];
    if (typeof address !== 'string' || address.startsWith('unix:')) return;
    const [why, hint] = address.startsWith('systemd:')
      ? ['systemd has made this socket', 'set SocketMode=, SocketUser= and SocketGroup= in its .socket unit']
      : ['only a Unix socket ("unix:PATH") has a file', undefined];
    for (const name of ['mode', 'owner', 'group'])
      if (Object.hasOwn(value, name)) reading.problem([...at, name], `has no effect: ${why}`, hint);
  },
});

/** uWebSockets.js does not tell whose connection a request came by, so who is behind the proxy would be lost. */
const proxyNeedsNode: Rule = {
  note: 'With `proxy_protocol` it is served by the engine `node`.',
  json: {},
  check(value, at, reading) {
    if (value['proxy_protocol'] === true && value['engine'] === 'uws')
      reading.problem([...at, 'engine'], 'cannot be "uws" here: only the engine "node" serves the PROXY protocol');
  },
};

/** Browsers speak it only over TLS. */
const http2NeedsTls: Rule = {
  note: '`http2` is for a listener with `tls`, and not for one with `engine = "uws"`.',
  json: {},
  check(value, at, reading) {
    if (value['http2'] !== true) return;
    if (!Object.hasOwn(value, 'tls'))
      reading.problem([...at, 'http2'], 'needs "tls": browsers speak HTTP/2 only over TLS');
    if (value['engine'] === 'uws')
      reading.problem([...at, 'engine'], 'cannot be "uws" here: only the engine "node" speaks HTTP/2');
  },
};

/** Whose the file of a Unix socket is. */
export const socketFile = {
  mode: optional(
    permissions,
    'The permissions of a Unix socket, in octal digits. A process that may write to the socket may connect. The default follows from the umask.',
  ),
  owner: optional(
    confinementTypes.user,
    'The owner of a Unix socket: a name or a number of /etc/passwd. Only root can set it. The default is the user of the gateway.',
  ),
  group: optional(
    confinementTypes.group,
    'The group of a Unix socket: a name or a number of /etc/group, such as that of the proxy in front. Without root it must be one of the groups of the user of the gateway. The default is their primary group.',
  ),
} as const;

export const listen = table(
  {
    address: required(
      address,
      'Where to accept connections. ":8080" means every address of the machine, "systemd:NAME" a socket that systemd has opened.',
    ),
    engine: preset(
      choice('auto', 'uws', 'node'),
      'auto',
      'The network engine. "auto" gives each connection to the engine that serves it best. That is mostly "uws" (uWebSockets.js); "node" serves HTTP/1.0, client certificates and other cases that "uws" cannot.',
    ),
    tls: optional(tls, 'Makes the listener speak TLS (HTTPS). Without this key it speaks plain HTTP.'),
    http2: preset(
      boolean,
      false,
      'Whether HTTP/2 is offered beside HTTP/1.1, WebSocket over HTTP/2 included. A browser then has all event streams of a page on one connection, instead of at most six. Served by "node".',
    ),
    proxy_protocol: preset(
      boolean,
      false,
      'Whether every connection begins with a PROXY preface (version 1 or 2: `send-proxy` in HAProxy, `proxy_protocol on` in nginx), in which a proxy names the client. Only `connections.trusted_proxies` may connect then. Served by "node".',
    ),
    ...socketFile,
    hosts: preset(
      listOf(hostPattern, 'hosts'),
      ['*'],
      'The hosts that it answers for. Requests with another Host get 421, WebSockets too. Addresses such as 192.168.1.7 and the names of localhost are always allowed. "*.example.org" means every host below example.org, and "*" any host. A list stops pages of other sites whose name points to this machine (DNS rebinding).',
    ),
    redirect: optional(
      redirect,
      'Redirects every request. "https": to the same path on the TLS listener. "https:443": to another port, if a router maps it. "http:8080": to another port without TLS.',
    ),
  },
  together(proxyNeedsNode, fileNeedsPath('address'), http2NeedsTls),
  '[[listen]], and below it address = ":8080"',
);

/** What somebody meant who wrote one listener in another form. */
function meantListeners(value: unknown): string {
  if (isTable(value)) return 'write its header in double brackets: [[listen]]';
  return `write [[listen]], and below it address = ${meantAddress(value) ?? '":8080"'}`;
}

export const listeners = listOf(listen, '[[listen]] tables', meantListeners);

export type ListenConfig = Values<(typeof listen)['fields']>;
/** What a listener needs to be told at least: the rest is as the schema presets it. */
export type ListenerConfig = Pick<ListenConfig, 'address' | 'engine'> & Partial<ListenConfig>;
