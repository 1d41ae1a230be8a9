/** Where a polled program says how far it has told its story, and how it is asked for the rest. Pure. */
import { type HeaderList, headerValue } from '../../../engine/engine.ts';
import type { Json } from './merge-patch.ts';

/** One of `header` and `json` is set. */
export interface CursorRule {
  readonly header: string | undefined;
  /** A JSON pointer. */
  readonly json: string | undefined;
  /** The parameter of the next request. */
  readonly query: string;
}

/** Characters. It goes into the address of the next request. */
export const MAX_CURSOR = 2048;

/**
 * The cursor that an answer has; undefined where it has none. What it means is the program's business: one that goes backwards is
 * passed on as it is.
 */
export function cursorOf(rule: CursorRule, headers: HeaderList, document: Json | undefined): string | undefined {
  if (rule.header !== undefined) {
    // A field's value has one character per byte.
    const value = Buffer.from(headerValue(headers, rule.header) ?? '', 'latin1').toString();
    return value === '' ? undefined : value;
  }
  if (rule.json === undefined || document === undefined) return undefined;
  const value = atPointer(document, rule.json);
  if (typeof value === 'string') return value === '' ? undefined : value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** What a JSON pointer points at (RFC 6901); undefined where there is nothing. */
export function atPointer(document: Json, pointer: string): Json | undefined {
  let value: Json | undefined = document;
  for (const escaped of pointer.split('/').slice(1)) {
    const name = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null) return undefined;
    if (Array.isArray(value)) value = /^(0|[1-9]\d*)$/.test(name) ? value[Number(name)] : undefined;
    else value = Object.entries(value).find(([own]) => own === name)?.[1];
  }
  return value;
}

/** Queries one after the other; empty ones are left out. */
export function joinQueries(...queries: readonly string[]): string {
  return queries.filter((query) => query !== '').join('&');
}

/** The query with the cursor in it, in place of what it may have had under that name. */
export function withCursor(query: string, rule: CursorRule | undefined, cursor: string | undefined): string {
  if (rule === undefined || cursor === undefined) return query;
  const others = query.split('&').filter((part) => part !== '' && part.split('=', 1)[0] !== rule.query);
  // JSON can have half a character, which no address can: by way of UTF-8 it becomes U+FFFD.
  const wellFormed = Buffer.from(cursor).toString();
  return [...others, `${rule.query}=${encodeURIComponent(wellFormed)}`].join('&');
}
