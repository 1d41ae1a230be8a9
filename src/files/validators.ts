/** Conditional requests (RFC 9110 section 13): what a request asks about its copy, and what follows from it. Pure. */
import { parseHttpDate } from './http-date.ts';

/** What tells one state of a file from another. */
export interface Validators {
  /** A strong tag, with its quotes. */
  readonly etag: string;
  /** Milliseconds since 1970, whole seconds. */
  readonly modified: number;
}

/** The fields of a request that make it conditional or partial; a repeated one is joined with ", ". */
export interface Conditions {
  readonly ifMatch?: string;
  readonly ifUnmodifiedSince?: string;
  readonly ifNoneMatch?: string;
  readonly ifModifiedSince?: string;
  readonly ifRange?: string;
  readonly range?: string;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const FIELDS: ReadonlyMap<string, keyof Conditions> = new Map([
  ['if-match', 'ifMatch'],
  ['if-unmodified-since', 'ifUnmodifiedSince'],
  ['if-none-match', 'ifNoneMatch'],
  ['if-modified-since', 'ifModifiedSince'],
  ['if-range', 'ifRange'],
  ['range', 'range'],
]);

/** The conditions among a request's fields (names in lower case); undefined when there are none. */
export function conditionsOf(headers: readonly (readonly [string, string])[]): Conditions | undefined {
  let found: Mutable<Conditions> | undefined;
  for (const [name, value] of headers) {
    const first = name.charCodeAt(0);
    if (first !== 0x69 && first !== 0x72) continue; // "i" and "r": the others need no look into the table
    const key = FIELDS.get(name);
    if (key === undefined) continue;
    found ??= {};
    const before = found[key];
    found[key] = before === undefined ? value : `${before}, ${value}`;
  }
  return found;
}

/**
 * The strong tag of a file of `size` bytes that was last written at `modified` nanoseconds since 1970: the same after a restart
 * and on every machine that has the same file with the same time. What is the same file in a `coding` is another tag, even if
 * size and time should be equal (RFC 9110 section 8.8.3.3).
 */
export function etagOf(size: number, modified: bigint, coding?: string): string {
  return `"${size.toString(36)}-${modified.toString(36)}${coding === undefined ? '' : `-${coding}`}"`;
}

/** What the conditions of a GET or HEAD come to, in the order of RFC 9110 section 13.2.2. Range and If-Range come after this. */
export function precondition(
  conditions: Conditions,
  validators: Validators,
): 'proceed' | 'not-modified' | 'precondition-failed' {
  if (conditions.ifMatch !== undefined) {
    if (!matchesAny(conditions.ifMatch, validators.etag, 'strong')) return 'precondition-failed';
  } else if (conditions.ifUnmodifiedSince !== undefined) {
    const date = parseHttpDate(conditions.ifUnmodifiedSince);
    if (date !== undefined && validators.modified > date) return 'precondition-failed';
  }
  if (conditions.ifNoneMatch !== undefined) {
    if (matchesAny(conditions.ifNoneMatch, validators.etag, 'weak')) return 'not-modified';
  } else if (conditions.ifModifiedSince !== undefined) {
    const date = parseHttpDate(conditions.ifModifiedSince);
    if (date !== undefined && validators.modified <= date) return 'not-modified';
  }
  return 'proceed';
}

/**
 * Whether the Range of a request is to be heeded (RFC 9110 section 13.1.5): no If-Range, the very tag, or the very date.
 * `now` (milliseconds since 1970) decides whether the date is strong: it must lie at least a minute back (section 8.8.2.2).
 */
export function rangeApplies(ifRange: string | undefined, validators: Validators, now: number): boolean {
  if (ifRange === undefined) return true;
  const value = ifRange.trim();
  if (value.startsWith('"')) return value === validators.etag;
  if (value.startsWith('W/')) return false;
  return parseHttpDate(value) === validators.modified && validators.modified + 60_000 <= now;
}

/** Whether `list` ("*" or entity tags, RFC 9110 section 8.8.3) has `etag`. A list that cannot be read matches nothing. */
function matchesAny(list: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (list === etag) return true;
  if (list.trim() === '*') return true;
  const tag = /[\t ,]*(W\/)?("[\x21\x23-\x7e\x80-\uffff]*")[\t ]*(?:,|$)/y;
  let matched = false;
  for (let at = 0; at < list.length; at = tag.lastIndex) {
    const match = tag.exec(list);
    if (!match) return matched && /^[\t ,]*$/.test(list.slice(at));
    if (match[2] === etag && (comparison === 'weak' || match[1] === undefined)) matched = true;
  }
  return matched;
}
