/** Addresses and ranges of them, as 16 bytes: IPv4 counts as the part of IPv6 that stands for it (RFC 4291 section 2.5.5.2). */
import { isIP } from 'node:net';

export interface AddressRange {
  /** 16 bytes. */
  readonly bytes: readonly number[];
  /** How many bits of them count: 0 to 128. */
  readonly bits: number;
  /** As it was written. */
  readonly text: string;
}

/** `"10.0.0.0/8"`, `"fd00::/8"`, or one address; undefined for anything else. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const match = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text);
  const bytes = addressBytes(match?.[1] ?? '');
  if (match === null || bytes === undefined) return undefined;
  const before = isIP(match[1] ?? '') === 4 ? 96 : 0;
  const bits = match[2] === undefined ? 128 : before + Number(match[2]);
  return bits > 128 ? undefined : { bytes, bits, text };
}

/** The 16 bytes of an address; undefined for what is none. */
export function addressBytes(text: string): readonly number[] | undefined {
  const family = isIP(text);
  if (family === 4) return [...new Array<number>(10).fill(0), 0xff, 0xff, ...text.split('.').map(Number)];
  if (family !== 6 || text.includes('%')) return undefined;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const hex = dotted === null ? text : `${dotted[1]}${pair(dotted[2], dotted[3])}:${pair(dotted[4], dotted[5])}`;
  const [head = '', tail] = hex.split('::');
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  return [...left, ...new Array<number>(16 - left.length - right.length).fill(0), ...right];
}

export function inRange(address: readonly number[], range: AddressRange): boolean {
  const whole = range.bits >> 3;
  for (let at = 0; at < whole; at++) if (address[at] !== range.bytes[at]) return false;
  const rest = range.bits & 7;
  if (rest === 0) return true;
  const mask = 0xff << (8 - rest);
  return ((address[whole] ?? 0) & mask) === ((range.bytes[whole] ?? 0) & mask);
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
