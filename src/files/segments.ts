/**
 * A request's path, taken apart and decoded. Pure: no file is looked at here.
 *
 * - Percent-encoding is decoded exactly once. An incomplete or wrong escape, and bytes that are not UTF-8 (overlong forms
 *   and surrogates among them), are 400; so is any control character, NUL first of all.
 * - An encoded slash (`%2f`) and a backslash, raw or encoded, are 404: what they would mean depends on who reads them.
 * - A segment that is `.` or `..`, raw or encoded, is 404 and never resolved. Clients resolve them before they send
 *   (RFC 3986 section 5.2.4); what still carries one was made by hand, and resolving it here, after the router has chosen
 *   by the path as sent, would walk around that choice.
 */
import { Refused } from './refused.ts';

const PLAIN = /^[\x20-\x24\x26-\x5b\x5d-\x7e]*$/;
const CONTROL = /[\x00-\x1f\x7f]/;
/** What an engine makes of bytes that are not UTF-8. */
const REPLACED = /[\ufffd\p{Surrogate}]/u;

/**
 * The decoded segments of `path` between its slashes; empty ones are kept ("a//b/" is "a", "", "b", "").
 * `path` is as sent, without the query; characters beyond ASCII stand for their UTF-8 bytes. Throws `Refused`.
 */
export function segmentsOf(path: string): string[] {
  const segments = path.split('/');
  const plain = PLAIN.test(path);
  for (const [index, raw] of segments.entries()) {
    const segment = plain ? raw : decode(raw);
    if (segment === '.' || segment === '..') throw new Refused(404, 'a path segment is "." or ".."');
    segments[index] = segment;
  }
  return segments;
}

function decode(raw: string): string {
  if (REPLACED.test(raw)) throw new Refused(400, 'the path is not UTF-8');
  let segment: string;
  try {
    segment = decodeURIComponent(raw);
  } catch (error) {
    throw new Refused(400, 'the path has a wrong percent-encoding, or is not UTF-8', { cause: error });
  }
  if (CONTROL.test(segment)) throw new Refused(400, 'the path has a control character');
  if (segment.includes('/')) throw new Refused(404, 'the path has an encoded slash');
  if (segment.includes('\\')) throw new Refused(404, 'the path has a backslash');
  return segment;
}

/** Whether a request's path can name a file that has this name: the other way round, what `segmentsOf` lets through. */
export function isServable(name: string): boolean {
  return name !== '' && !REPLACED.test(name) && !CONTROL.test(name) && !/[/\\]/.test(name);
}
