/** Where an upstream is: the value of `upstream` in a `[proxy."/path"]` table. */
import { parseRemote, type Remote } from '../../config/values/remote.ts';
import type { ValueType } from '../../config/values/value.ts';
import { type Host, hostText, parseHost } from '../../net/host.ts';
import { usualPort } from '../../net/origin.ts';

export interface UpstreamAddress {
  /** As it was written. */
  readonly text: string;
  readonly scheme: 'http' | 'https';
  readonly remote: Remote;
  /** "localhost" of a Unix socket, which has no name of its own. */
  readonly host: Host;
}

const LOCALHOST: Host = { name: 'localhost', kind: 'name', port: undefined };

/** What Host says of it: without the usual port. */
export function authorityOf({ scheme, host }: Pick<UpstreamAddress, 'scheme' | 'host'>): string {
  return host.port === undefined || host.port === usualPort(scheme) ? hostText(host) : `${hostText(host)}:${host.port}`;
}

function parse(value: string, directory: string): UpstreamAddress | undefined {
  if (value.startsWith('unix:')) {
    const remote = parseRemote(value, directory);
    return remote && { text: value, scheme: 'http', remote, host: LOCALHOST };
  }
  const [, scheme = '', authority = ''] = /^(https?):\/\/([^/?#]*)\/?$/.exec(value) ?? [];
  const host = parseHost(authority);
  if (host === undefined || host.port === 0 || (scheme !== 'http' && scheme !== 'https')) return undefined;
  // The system would read "127.1" and "300" as addresses, too.
  if (host.kind === 'name' && /^[\d.]+$/.test(host.name)) return undefined;
  const text = `${scheme}://${authority}`;
  const port = host.port ?? usualPort(scheme) ?? 0;
  return { text, scheme, host, remote: { kind: 'tcp', host: host.name, port, text } };
}

/** A port or an authority alone, and the path of a socket. */
function meantUpstream(value: unknown, directory: string): string | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const text = String(value);
  const isPort = /^:?\d{1,5}$/.test(text);
  const candidate = text.startsWith('/')
    ? `unix:${text}`
    : isPort
      ? `http://127.0.0.1:${text.replace(':', '')}`
      : `http://${text.replace(/^tcp:\/\//, '')}`;
  return parse(candidate, directory) === undefined ? undefined : `write "${candidate}"`;
}

/** It need not be there yet: whoever listens may be started later than the gateway. */
export const upstreamAddress: ValueType<UpstreamAddress> = {
  expected: 'an address such as "http://127.0.0.1:3000", "https://camera.lan" or "unix:/run/app.sock"',
  json: { type: 'string', pattern: '^(unix:.+|https?://[^/?#@]+/?)$' },
  read(value, at, reading) {
    const written = typeof value === 'string' ? value : '';
    const parsed = parse(written, reading.directory);
    if (parsed !== undefined) return parsed;
    const [, scheme = '', user = '', authority = '', path = ''] =
      /^(https?|wss?):\/\/([^/?#]*@)?([^/?#]*)(.*)$/.exec(written) ?? [];
    const shorter = `${scheme.replace('ws', 'http')}://${authority}`;
    if (user !== '')
      reading.problem(at, 'contains a user or a password, which logs would show', 'leave out what stands before "@"');
    else if (parse(shorter, reading.directory) === undefined)
      reading.wrong(at, value, this.expected, meantUpstream(value, reading.directory));
    else if (scheme.startsWith('ws'))
      reading.problem(at, 'must begin with http:// or https://, also for WebSockets', `write "${shorter}"`);
    else
      reading.problem(
        at,
        `must not have a path (${JSON.stringify(path)}): the path of each request is passed on, without the path of the route if strip_prefix is set`,
        `write "${shorter}"`,
      );
    return undefined;
  },
};
