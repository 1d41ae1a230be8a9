/** What a stream subscribes to: the value of `subscribe`. */
import { parseRemote, type Remote } from '../../../config/values/remote.ts';
import type { ValueType } from '../../../config/values/value.ts';

export type SubscribeAddress =
  /** `url` is http: or https:, for a WebSocket, too: that begins as a request. */
  | { readonly kind: 'http' | 'websocket'; readonly secure: boolean; readonly url: string; readonly text: string }
  /** Messages lie in the bytes of a connection. */
  | { readonly kind: 'bytes'; readonly secure: boolean; readonly remote: Remote; readonly text: string };

/** `http://`, `https://`, `ws://`, `wss://`, `tcp://`, `tls://`, `unix:`; undefined for anything else. */
export function parseSubscribeAddress(text: string, directory: string): SubscribeAddress | undefined {
  const [, scheme = '', rest = ''] = /^(https?|wss?|tls):\/\/([!-~]*)$/.exec(text) ?? [];
  if (scheme === '' || scheme === 'tls') {
    const remote = parseRemote(scheme === '' ? text : `tcp://${rest}`, directory);
    return remote && { kind: 'bytes', secure: scheme === 'tls', remote: { ...remote, text }, text };
  }
  if (/[#"@]/.test(rest.replace(/[/?].*$/, '')) || rest.includes('#')) return undefined;
  const url = `${scheme.replace('ws', 'http')}://${rest}`;
  if (!URL.canParse(url)) return undefined;
  const kind = scheme.startsWith('ws') ? 'websocket' : 'http';
  return { kind, secure: scheme.endsWith('s'), url, text };
}

/** It need not be there yet. */
export const subscribeAddress: ValueType<SubscribeAddress> = {
  expected:
    'an address such as "http://plug.lan/events", "wss://board.lan/live", "tcp://192.168.1.7:4001", "tls://plant.lan:4001" or "unix:/run/gpsd.sock"',
  json: { type: 'string', pattern: '^(unix:.+|tcp://.+:[0-9]{1,5}|tls://.+:[0-9]{1,5}|(http|ws)s?://[^#]+)$' },
  read(value, at, reading) {
    if (typeof value === 'string' && /^[a-z]+:\/\/[^/?]*@/.test(value)) {
      reading.problem(
        at,
        'contains a user or a password, which logs would show',
        'leave out what stands before "@", and name a file with it as "login"',
      );
      return undefined;
    }
    const parsed = typeof value === 'string' ? parseSubscribeAddress(value, reading.directory) : undefined;
    if (parsed === undefined) reading.wrong(at, value, this.expected);
    return parsed;
  },
};
