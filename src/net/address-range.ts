/** Ranges of addresses, as 16 bytes: IPv4 counts as the part of IPv6 that stands for it (RFC 4291 section 2.5.5.2). */
import { addressBytes, addressFamily, UNIX_PEER } from './address.ts';

export interface AddressRange {
  /** 16 bytes. */
  readonly bytes: readonly number[];
  /** How many bits of them count: 0 to 128. */
  readonly bits: number;
  /** As it was written. */
  readonly text: string;
}

/** What a list of addresses may have in it: ranges, and "unix" for whoever connects over a Unix socket. */
export type AddressEntry = AddressRange | typeof UNIX_PEER;

/** `"10.0.0.0/8"`, `"fd00::/8"`, one address, or `"unix"`; undefined for anything else. */
export function parseAddressEntry(text: string): AddressEntry | undefined {
  return text === UNIX_PEER ? UNIX_PEER : parseAddressRange(text);
}

/** `"10.0.0.0/8"`, `"fd00::/8"`, or one address; undefined for anything else. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const match = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text);
  const bytes = addressBytes(match?.[1] ?? '');
  if (match === null || bytes === undefined) return undefined;
  const before = addressFamily(match[1] ?? '') === 4 ? 96 : 0;
  const bits = match[2] === undefined ? 128 : before + Number(match[2]);
  return bits > 128 ? undefined : { bytes: [...bytes], bits, text };
}

export function inRange(address: Uint8Array, range: AddressRange): boolean {
  const whole = range.bits >> 3;
  for (let at = 0; at < whole; at++) if (address[at] !== range.bytes[at]) return false;
  const rest = range.bits & 7;
  if (rest === 0) return true;
  const mask = 0xff << (8 - rest);
  return ((address[whole] ?? 0) & mask) === ((range.bytes[whole] ?? 0) & mask);
}
