/**
 * A path's one form. Routes, policies, handlers and the checks of a configuration compare paths in this form only; only the functions
 * here make it.
 *
 * It is made of bytes, so that no two spellings of one path are left: everything that can be decoded is, and then each byte that
 * RFC 3986 lets stand in a segment stands as itself and each other one as an escape in upper case. "%2F" is a slash within a
 * segment and stays apart from "/", which divides segments. Dot segments are resolved, and slashes merged, as Apache and nginx
 * do: `//cgi-bin/x` must not be told apart from `/cgi-bin/x` by the router only for the file system to find them the same.
 */
import { isUtf8 } from 'node:buffer';

declare const form: unique symbol;

export type CanonicalPath = string & { readonly [form]: 'path' };
/** What a canonical path has beyond the slash of the route's: "x/y" of "/app/x/y" below "/app/". */
export type PathBelow = string & { readonly [form]: 'below' };

export const ROOT_PATH = '/' as CanonicalPath;
export const NOTHING_BELOW = '' as PathBelow;

/** Paths as nearly all clients send them: nothing to decode, nothing to resolve. */
const PLAIN = /^(?:\/[A-Za-z0-9\-_~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@]*)*\/?$/;
/** What stands as itself in a segment (RFC 3986 section 3.3). */
const IN_SEGMENT = /[A-Za-z0-9\-._~!$&'()*+,;=:@]/;
const TO_DECIDE = /%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g;
/**
 * No path of ours: a broken escape, a space or a character that stands for more than a byte; a control character, escaped or not, which
 * would end a line or a string early; a backslash, which for some readers is a slash.
 */
const REFUSED = /%(?![0-9A-Fa-f]{2})|%[01]|%7[Ff]|%5[Cc]|[^\x21-\x5b\x5d-\x7e\x80-\xff]/;

/**
 * The canonical form of a path as it was sent: percent-encoded, one character for each byte.
 *
 * @returns undefined for what has none: see `REFUSED`; and a path that climbs above "/".
 */
export function canonicalPath(sent: string): CanonicalPath | undefined {
  if (sent !== '' && PLAIN.test(sent)) return sent as CanonicalPath;
  if (!sent.startsWith('/') || REFUSED.test(sent)) return undefined;
  const spelled = sent.replaceAll(TO_DECIDE, canonicalByte);
  const kept: string[] = [];
  const segments = spelled.split('/').slice(1);
  for (const [at, segment] of segments.entries()) {
    const last = at === segments.length - 1;
    if (segment === '..') {
      if (kept.length === 0) return undefined;
      kept.pop();
    } else if (segment !== '.' && segment !== '') kept.push(segment);
    if (last && (segment === '' || segment === '.' || segment === '..')) kept.push('');
  }
  return `/${kept.join('/')}` as CanonicalPath;
}

/** The same for a path that is written as text in which nothing is escaped: a route's in a configuration. */
export function canonicalText(text: string): CanonicalPath | undefined {
  return canonicalPath(bytesOf(text).replaceAll(/[% ]/g, (character) => escaped(character.charCodeAt(0))));
}

/** The same for a file's path below a root, as if it had been asked for there. */
export function pathOfFile(file: string): PathBelow {
  const path = canonicalText(`/${file}`);
  if (path === undefined) throw new RangeError(`no request can name the file ${JSON.stringify(file)}`);
  return pathBelow(path, ROOT_PATH);
}

/** What `path` has beyond `base`, which it begins with. */
export function pathBelow(path: CanonicalPath, base: CanonicalPath): PathBelow {
  return path.slice(base.length) as PathBelow;
}

/** The same path as that of a folder. */
export function asFolder(path: CanonicalPath): CanonicalPath {
  return path.endsWith('/') ? path : (`${path}/` as CanonicalPath);
}

/** A path and a query as a URI has them (RFC 3986): what was sent raw is escaped. */
export function uriOf(path: CanonicalPath, query: string | undefined): string {
  return query === undefined ? path : `${path}?${asAscii(query)}`;
}

/** Text in which each byte that is no printable ASCII has become its escape. */
export function asAscii(bytes: string): string {
  return bytes.replaceAll(/[^\x21-\x7e]/g, (character) => escaped(character.charCodeAt(0)));
}

/** Bytes of a URI as text: what they say in UTF-8; where they say nothing, as they should have been sent. */
export function textOf(bytes: string): string {
  if (!/[^\x00-\x7f]/.test(bytes)) return bytes;
  const buffer = Buffer.from(bytes, 'latin1');
  return isUtf8(buffer) ? buffer.toString() : asAscii(bytes);
}

/** A text's bytes in UTF-8, one character for each. */
export function bytesOf(text: string): string {
  return /[^\x00-\x7f]/.test(text) ? Buffer.from(text).toString('latin1') : text;
}

function canonicalByte(found: string): string {
  const byte = found.length === 1 ? found.charCodeAt(0) : Number.parseInt(found.slice(1), 16);
  const character = String.fromCharCode(byte);
  return IN_SEGMENT.test(character) ? character : escaped(byte);
}

function escaped(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
