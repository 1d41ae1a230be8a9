/** Where a route with `connect` connects to: the only place that its clients can reach, whatever they send. */
import { isIPv4 } from 'node:net';
import { resolve } from 'node:path';
import { addressFamily } from '../../net/address.ts';
import { MAX_SOCKET_PATH } from './simple.ts';
import type { ValueType } from './value.ts';

/** Where somebody else listens. */
export type Remote =
  /** `host` is an address, or a name that is looked up for each connection. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly text: string }
  | { readonly kind: 'unix'; readonly path: string; readonly text: string };

/** `"tcp://127.0.0.1:1883"`, `"tcp://[::1]:1883"`, `"tcp://broker.lan:1883"`, `"unix:/run/x.sock"`; undefined for anything else. */
export function parseRemote(value: string, directory: string): Remote | undefined {
  if (value.startsWith('unix:')) return unixRemote(value, value.slice(5), directory);
  const match = /^tcp:\/\/(?:\[([0-9A-Fa-f:.]+)(%[A-Za-z0-9.-]+)?\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(value);
  const [, address, zone = '', name = '', digits] = match ?? [];
  const port = Number(digits);
  if (match === null || port < 1 || port > 65535) return undefined;
  if (address === undefined ? !isHost(name) : addressFamily(address) !== 6) return undefined;
  return { kind: 'tcp', host: address === undefined ? name : address + zone, port, text: value };
}

function unixRemote(text: string, name: string, directory: string): Remote | undefined {
  // "unix://x" would be taken for the path "//x", which is not what one who writes it means.
  if (name === '' || name.startsWith('//') || name.includes('\0')) return undefined;
  const path = resolve(directory, name);
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH ? { kind: 'unix', path, text } : undefined;
}

/** A name, or a whole IPv4 address: the system would read "127.1" and "300" as addresses too. */
function isHost(name: string): boolean {
  return isIPv4(name) || (!/^[\d.]+$/.test(name) && name.length <= 253);
}

/** It need not be there yet: whoever listens may be started later than the gateway. */
export const remote: ValueType<Remote> = {
  expected: 'where to connect to, such as "unix:/run/app.sock" or "tcp://127.0.0.1:9000"',
  json: { type: 'string', pattern: '^(unix:.+|tcp://.+:[0-9]{1,5})$' },
  read(value, at, reading) {
    const parsed = typeof value === 'string' ? parseRemote(value, reading.directory) : undefined;
    if (parsed === undefined) reading.wrong(at, value, this.expected);
    return parsed;
  },
};
