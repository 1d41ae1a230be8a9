/** The answers to those who publish: JSON of one line. */
import type { HeaderList, Reply } from '../../../engine/engine.ts';

const FIELDS: HeaderList = [
  ['content-type', 'application/json'],
  ['cache-control', 'no-store'],
];

export const NOT_KEPT = 'it was published, but cannot be saved';

/** @param retryAfter seconds */
export function jsonReply(status: number, value: object, retryAfter?: number): Reply {
  const headers = retryAfter === undefined ? FIELDS : [...FIELDS, ['retry-after', String(retryAfter)] as const];
  return { status, headers, body: `${JSON.stringify(value)}\n` };
}

/** The answer to one message: thousands a second, which differ by their ids alone. */
export function publishedReply(id: string): Reply {
  // An id needs no escaping.
  return { status: 202, headers: FIELDS, body: `{"id":"${id}"}\n`, lasting: 'head' };
}
