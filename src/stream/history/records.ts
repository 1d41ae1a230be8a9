/**
 * How a history lies in its files: a header, then records, each with its length and a checksum, in the order in which they were written. Pure.
 * All numbers are little-endian.
 *
 * Header: "RUNNELH\n", version (2 bytes), length of the epoch (1), 1 unused, numbers in reserve (4), number of the first message (6), numbers
 * that no message has (6), time (6), epoch (24), 2 unused, CRC-32 of all that (4).
 * Record: CRC-32 of what follows (4), length of the data (4), number (6), time (6), kind (1), data.
 * Times are milliseconds since 1970; 0 is a time that nobody knew.
 */

import { type Message, makeMessage } from '../message.ts';

/** Of the format. A file of a higher one is refused. */
export const VERSION = 1;
export const HEADER_BYTES = 64;
/** What a record has beside its data. */
export const RECORD_BYTES = 21;
/** Beyond what a message may have. */
const MOST_DATA = 80 << 20;
/**
 * After a crash the numbers go on so far behind the last one in the file: viewers may have seen messages that were not written yet, and no
 * number may come twice. There are never so many unwritten ones.
 */
export const RESERVE = 65_536;

export const KIND = { text: 0, binary: 1, opened: 2, closed: 3 } as const;
/** Kinds of pictures, from this one on. */
const FIRST_PICTURE = 16;
const PICTURES: readonly string[] = ['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif', 'image/bmp'];

function isKind(kind: number): boolean {
  return kind <= KIND.closed || (kind >= FIRST_PICTURE && kind < FIRST_PICTURE + PICTURES.length);
}

export function isMessage(kind: number): boolean {
  return kind !== KIND.opened && kind !== KIND.closed;
}

export function kindOf({ binary, picture }: Pick<Message, 'binary' | 'picture'>): number {
  const known = picture === undefined ? -1 : PICTURES.indexOf(picture);
  if (known !== -1) return FIRST_PICTURE + known;
  return binary ? KIND.binary : KIND.text;
}

/** @param binary whether all messages are, whatever the file says */
export function messageOf({ kind, sequence, data }: StoredRecord, id: string, binary: boolean): Message {
  return makeMessage(data, binary || kind !== KIND.text, id, sequence, PICTURES[kind - FIRST_PICTURE], true);
}

const MAGIC = 'RUNNELH\n';
const EPOCH_AT = 34;
const EPOCH_MOST = 24;

export interface SegmentHeader {
  readonly epoch: string;
  /** The number of its first message. */
  readonly first: number;
  /** How many numbers before that no message has. */
  readonly skipped: number;
  /** When it was begun; NaN if nobody knew. */
  readonly time: number;
}

export interface StoredRecord {
  readonly kind: number;
  readonly sequence: number;
  /** NaN if nobody knew. */
  readonly time: number;
  /** Lies in the bytes that were parsed. */
  readonly data: Buffer;
  /** Where it ends. */
  readonly end: number;
}

export function encodeHeader({ epoch, first, skipped, time }: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write(MAGIC, 'latin1');
  bytes.writeUInt16LE(VERSION, 8);
  bytes.writeUInt8(epoch.length, 10);
  bytes.writeUInt32LE(RESERVE, 12);
  bytes.writeUIntLE(first, 16, 6);
  bytes.writeUIntLE(skipped, 22, 6);
  bytes.writeUIntLE(written(time), 28, 6);
  bytes.write(epoch, EPOCH_AT, EPOCH_MOST, 'latin1');
  bytes.writeUInt32LE(crc32(bytes, 0, HEADER_BYTES - 4), HEADER_BYTES - 4);
  return bytes;
}

/** Undefined for what is none, or is damaged. */
export function parseHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  if (bytes.readUInt32LE(HEADER_BYTES - 4) !== crc32(bytes, 0, HEADER_BYTES - 4)) return undefined;
  const length = Math.min(EPOCH_MOST, bytes.readUInt8(10));
  return {
    epoch: bytes.toString('latin1', EPOCH_AT, EPOCH_AT + length),
    first: bytes.readUIntLE(16, 6),
    skipped: bytes.readUIntLE(22, 6),
    time: readTime(bytes, 28),
  };
}

/** Writes a record at `at`; gives where it ends. */
export function putRecord(
  into: Buffer,
  at: number,
  kind: number,
  sequence: number,
  time: number,
  data: Buffer,
): number {
  const end = at + RECORD_BYTES + data.length;
  into.writeUInt32LE(data.length, at + 4);
  into.writeUIntLE(sequence, at + 8, 6);
  into.writeUIntLE(written(time), at + 14, 6);
  into.writeUInt8(kind, at + 20);
  data.copy(into, at + RECORD_BYTES);
  into.writeUInt32LE(crc32(into, at + 4, end), at);
  return end;
}

/** The record at `at`; a number is how many bytes there must be behind `at` to know more; undefined is no record. */
export function parseRecord(bytes: Buffer, at: number): StoredRecord | number | undefined {
  if (bytes.length - at < RECORD_BYTES) return RECORD_BYTES;
  const length = bytes.readUInt32LE(at + 4);
  const kind = bytes.readUInt8(at + 20);
  if (length > MOST_DATA || !isKind(kind)) return undefined;
  const end = at + RECORD_BYTES + length;
  if (end > bytes.length) return RECORD_BYTES + length;
  if (bytes.readUInt32LE(at) !== crc32(bytes, at + 4, end)) return undefined;
  return {
    ...{ kind, end },
    sequence: bytes.readUIntLE(at + 8, 6),
    time: readTime(bytes, at + 14),
    data: bytes.subarray(at + RECORD_BYTES, end),
  };
}

/** How far ahead of the last number one behind damage can be. */
const FAR = 2 ** 32;

/** The next place from `at` on where a whole record with a number behind `last` begins; undefined where there is none. */
export function findRecord(bytes: Buffer, at: number, last: number): number | undefined {
  for (let place = at; place + RECORD_BYTES <= bytes.length; place++) {
    // What most bytes are not is asked first.
    if (!isKind(bytes.readUInt8(place + 20))) continue;
    if (place + RECORD_BYTES + bytes.readUInt32LE(place + 4) > bytes.length) continue;
    const sequence = bytes.readUIntLE(place + 8, 6);
    if (sequence < last || sequence > last + FAR) continue;
    if (typeof parseRecord(bytes, place) === 'object') return place;
  }
  return undefined;
}

/** NaN is 0 in a file. */
function written(time: number): number {
  return time > 0 ? Math.floor(time) : 0;
}

function readTime(bytes: Buffer, at: number): number {
  const time = bytes.readUIntLE(at, 6);
  return time === 0 ? Number.NaN : time;
}

/** CRC-32 as in zlib, of four bytes at a time. Node has it only from 20.15 on. */
const TABLES: readonly Int32Array[] = makeTables();

function makeTables(): readonly Int32Array[] {
  const first = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    first[byte] = value;
  }
  const tables = [first];
  for (let at = 1; at < 4; at++) {
    const before = tables[at - 1] ?? first;
    tables.push(Int32Array.from(before, (value) => (value >>> 8) ^ (first[value & 255] ?? 0)));
  }
  return tables;
}

export function crc32(bytes: Buffer, start: number, end: number): number {
  const [a, b, c, d] = TABLES as unknown as readonly [Int32Array, Int32Array, Int32Array, Int32Array];
  let value = -1;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    value ^= bytes.readInt32LE(at);
    value =
      (d[value & 255] ?? 0) ^ (c[(value >>> 8) & 255] ?? 0) ^ (b[(value >>> 16) & 255] ?? 0) ^ (a[value >>> 24] ?? 0);
  }
  for (; at < end; at++) value = (value >>> 8) ^ (a[(value ^ (bytes[at] ?? 0)) & 255] ?? 0);
  return ~value >>> 0;
}
