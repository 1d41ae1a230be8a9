/** From a file's name to its text, or to the sentence that says why there is none. */
import { isUtf8 } from 'node:buffer';
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { reasonInWords } from '../../ops/system-errors.ts';
import { errorCode } from '../disk/disk.ts';
import { positionAt, type TextPosition } from './positions.ts';

/** A configuration is written by hand: what is larger is something else. */
export const MAX_SOURCE_BYTES = 1024 * 1024;

export interface SourceTrouble {
  readonly message: string;
  readonly hint?: string;
  readonly position?: TextPosition;
}

/** The bytes of a file of at most 1 MiB. Only a regular file is opened: a pipe could make the start wait for ever. */
export function readSource(file: string): Buffer | SourceTrouble {
  try {
    const named = statSync(file);
    if (named.isDirectory()) return { message: 'is a folder, not a file', hint: 'name the file in it' };
    if (!named.isFile()) return { message: 'is not a regular file' };
    const descriptor = openSync(file, 'r');
    try {
      const { size } = fstatSync(descriptor);
      return size > MAX_SOURCE_BYTES
        ? { message: `is larger than 1 MiB (${size} bytes): this is not a configuration` }
        : readFileSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    return { message: reasonInWords(errorCode(error)) };
  }
}

const SAVE_AS_UTF8 = 'save the file as UTF-8';

/** The text of a file. A UTF-8 byte order mark, as some editors write it, is no trouble and is left out. */
export function decodeSource(bytes: Buffer): string | SourceTrouble {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
    return { message: 'is UTF-16, as its byte order mark says', hint: SAVE_AS_UTF8 };
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const content = marked ? bytes.subarray(3) : bytes;
  const zero = content.indexOf(0);
  if (zero !== -1) {
    const position = positionAt(content.toString('utf8', 0, zero), zero);
    return { message: 'there is a NUL byte: this is not a text file', position };
  }
  if (isUtf8(content)) return content.toString('utf8');
  const bad = firstBadByte(content);
  const position = positionAt(content.toString('utf8', 0, bad), bad);
  const value = (content[bad] ?? 0).toString(16).padStart(2, '0');
  return { message: `the byte 0x${value} is not UTF-8`, hint: SAVE_AS_UTF8, position };
}

/** The index of the first byte that does not belong to a whole character (RFC 3629). */
function firstBadByte(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length) {
    const lead = bytes[at] ?? 0;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (at + length > bytes.length || !isUtf8(bytes.subarray(at, at + length))) return at;
    at += length;
  }
  return at;
}
