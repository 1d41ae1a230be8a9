/** Reads the records of one segment, in pieces of a bounded size, past what is damaged. */
import type { FileHandle } from 'node:fs/promises';
import { findRecord, parseRecord, type StoredRecord } from './records.ts';

/** Bytes that are read at once, where nothing else is said; a larger record is read whole. */
const PIECE = 64 * 1024;

export interface ScanResult {
  /** Behind the last record that was taken. */
  readonly end: number;
  /** Bytes that were passed because they are no records, with records behind them. */
  readonly damaged: number;
}

/**
 * Calls `take` for each record from `start` on, until it answers false or there is no more before `size`.
 * @param last the number before the first record, for finding the next one behind damage
 * @param piece bytes that are read at once
 */
export async function scanRecords(
  handle: FileHandle,
  start: number,
  size: number,
  last: number,
  take: (record: StoredRecord) => boolean,
  piece = PIECE,
): Promise<ScanResult> {
  let damaged = 0;
  /** Where `bytes` begins in the file, and where the next record begins in it. */
  let base = start;
  let bytes: Buffer = await readPiece(handle, base, Math.min(piece, size - base));
  let at = 0;
  let sequence = last;
  for (;;) {
    const found = parseRecord(bytes, at);
    if (typeof found === 'object') {
      if (!take(found)) return { end: base + at, damaged };
      sequence = Math.max(sequence, found.sequence);
      at = found.end;
      continue;
    }
    const place = base + at;
    if (found !== undefined && place + found <= size && found > bytes.length - at) {
      base = place;
      bytes = await readPiece(handle, base, Math.min(Math.max(piece, found), size - base));
      at = 0;
      // A file that has become shorter meanwhile has no more.
      if (bytes.length < found) return { end: place, damaged };
      continue;
    }
    if (place >= size) return { end: place, damaged };
    const next = await recordBehind(handle, place, size, sequence);
    if (next === undefined) return { end: place, damaged };
    damaged += next - place;
    base = next;
    bytes = await readPiece(handle, base, Math.min(piece, size - base));
    at = 0;
  }
}

/** Where the next whole record is behind a place that has none. */
async function recordBehind(handle: FileHandle, at: number, size: number, last: number): Promise<number | undefined> {
  const rest = await readPiece(handle, at, size - at);
  const found = findRecord(rest, 1, last);
  return found === undefined ? undefined : at + found;
}

async function readPiece(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(Math.max(0, length));
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, at + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}
