/**
 * Network addresses in their one form: IPv4 in dotted form (also where it came inside of IPv6, RFC 4291 section 2.5.5.2), IPv6 as RFC
 * 5952 has it and without a zone, "unix" for whoever is at the other end of a Unix socket, "" where nobody knows. It is made here, where
 * an address comes in; everything behind compares nothing else.
 */
import { isIPv4 } from 'node:net';

/** The peer of a Unix socket: it has no address, but it is not nobody. */
export const UNIX_PEER = 'unix';

/**
 * 4 or 6; 0 for what is no address, and for one with a zone. As Node's own `isIP` has it, whose regular expression for IPv6 takes longer
 * to compile than a whole configuration to read.
 */
export function addressFamily(text: string): 0 | 4 | 6 {
  if (!text.includes(':')) return isIPv4(text) ? 4 : 0;
  const gap = text.indexOf('::');
  if (gap < 0) return countGroups(text, true) === 8 ? 6 : 0;
  // What the gap stands for is one group at least. A second gap is an empty group.
  return countGroups(text.slice(0, gap), false) + countGroups(text.slice(gap + 2), true) <= 7 ? 6 : 0;
}

/** How many groups of 16 bits these are; NaN where one is none. @param last whether an IPv4 address may end them */
function countGroups(text: string, last: boolean): number {
  if (text === '') return 0;
  const parts = text.split(':');
  const end = parts.at(-1) ?? '';
  const dotted = last && end.includes('.');
  if (dotted && !isIPv4(end)) return Number.NaN;
  for (let at = dotted ? parts.length - 2 : parts.length - 1; at >= 0; at--)
    if (!/^[0-9a-f]{1,4}$/i.test(parts[at] ?? '')) return Number.NaN;
  return dotted ? parts.length + 1 : parts.length;
}

/** The one form of an address in any spelling, with or without a zone; undefined for what is none. */
export function readAddress(text: string): string | undefined {
  const bytes = addressBytes(text);
  return bytes && addressText(bytes);
}

/**
 * The 16 bytes of an address; undefined for what is none. A zone ("%eth0") says by which interface of this machine the peer is reached,
 * not who it is: one peer would otherwise have as many addresses as there are spellings of it.
 */
export function addressBytes(text: string): Uint8Array | undefined {
  const zone = text.indexOf('%');
  const plain = zone < 0 ? text : text.slice(0, zone);
  const family = addressFamily(plain);
  const bytes = new Uint8Array(16);
  if (family === 4 && zone < 0) {
    bytes.set([0xff, 0xff, ...plain.split('.').map(Number)], 10);
    return bytes;
  }
  if (family !== 6) return undefined;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(plain);
  const hex = dotted === null ? plain : `${dotted[1]}${pair(dotted[2], dotted[3])}:${pair(dotted[4], dotted[5])}`;
  const [head = '', tail = ''] = hex.split('::');
  const right = groups(tail);
  bytes.set(groups(head));
  bytes.set(right, 16 - right.length);
  return bytes;
}

/** An address out of its 4 or 16 bytes; "" for none. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return dotted(bytes, 0);
  if (bytes.length !== 16) return '';
  return isMapped(bytes) ? dotted(bytes, 12) : shortIPv6(bytes);
}

/** The 16 bytes as IPv6, also where they stand for an IPv4 address: the host of a URL is another one then. */
export function shortIPv6(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0));
  let start = -1;
  let longest = 1;
  for (let at = 0; at < groups.length; at++) {
    let end = at;
    while (groups[end] === 0) end++;
    if (end - at > longest) {
      start = at;
      longest = end - at;
    }
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  return start < 0 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + longest))}`;
}

/** For programs: REMOTE_ADDR has no word for a Unix socket (RFC 3875 section 4.1.8). */
export function hostNumber(address: string): string {
  return address === UNIX_PEER ? '' : address;
}

/** Written out, because this is done for every request: `join` and `every` cost ten times as much. */
function dotted(bytes: Uint8Array, from: number): string {
  return `${bytes[from]}.${bytes[from + 1]}.${bytes[from + 2]}.${bytes[from + 3]}`;
}

/** Whether it is an IPv4 address within IPv6 (RFC 4291 section 2.5.5.2). */
function isMapped(bytes: Uint8Array): boolean {
  for (let at = 0; at < 10; at++) if (bytes[at] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function pair(high: string | undefined, low: string | undefined): string {
  return ((Number(high) << 8) | Number(low)).toString(16);
}
