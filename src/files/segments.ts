/**
 * A path, taken apart and decoded, once, for those who look for files or tell a program of it. Pure: no file is looked at here. What
 * has no canonical form (control characters, backslashes, dot segments) never comes here.
 *
 * - Bytes that are not UTF-8 (overlong forms and surrogates among them) are 400.
 * - A slash within a segment (`%2F`) is 404: what it would mean depends on who reads it.
 */
import type { CanonicalPath, PathBelow } from '../routing/canonical-path.ts';

/** A path that is not served: the status for the client, and the reason for the log. */
export class FileRefusal extends Error {
  readonly status: 400 | 403 | 404;
  constructor(status: 400 | 403 | 404, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = 'FileRefusal';
    this.status = status;
  }
}

/** The decoded segments of `path` between its slashes, the empty ones before its first and behind its last slash with them. Throws `FileRefusal`. */
export function segmentsOf(path: CanonicalPath | PathBelow): string[] {
  const segments: string[] = path.split('/');
  if (path.includes('%')) for (const [index, raw] of segments.entries()) segments[index] = decoded(raw);
  return segments;
}

function decoded(raw: string): string {
  let segment: string;
  try {
    segment = decodeURIComponent(raw);
  } catch (error) {
    throw new FileRefusal(400, 'the path is not UTF-8', { cause: error });
  }
  if (segment.includes('/')) throw new FileRefusal(404, 'the path has an encoded slash');
  return segment;
}

/** Whether a request's path can name a file that has this name: the other way round, what `segmentsOf` lets through. */
export function isServable(name: string): boolean {
  // U+FFFD stands for what is not UTF-8.
  return name !== '' && !/[\ufffd\p{Surrogate}\x00-\x1f\x7f/\\]/u.test(name);
}
