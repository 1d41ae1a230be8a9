/** Writes a reply's head with uWebSockets.js. */

import type { HttpResponse } from 'uWebSockets.js';
import type { HeaderList, Reply } from './engine.ts';
import { REASONS } from './reasons.ts';
import { reasonOf } from './reply-check.ts';

const NOT_ASCII = /[^\x00-\x7f]/;
const STATUS_LINES: ReadonlyMap<number, string> = new Map(
  Object.entries(REASONS).map(([code, reason]) => [Number(code), `${code} ${reason}`]),
);

/** Must come before the headers: later it is ignored without a word. "200 OK" is written without being asked. */
export function writeStatus(response: HttpResponse, reply: Reply): void {
  const { status, reason } = reply;
  if (reason !== undefined) response.writeStatus(wire(`${status} ${reason}`));
  else if (status !== 200) response.writeStatus(STATUS_LINES.get(status) ?? `${status} ${reasonOf(reply)}`);
}

export function writeHeaders(response: HttpResponse, headers: HeaderList): void {
  // Date is always written by uWebSockets.js.
  for (const [name, value] of headers) if (name !== 'date') response.writeHeader(name, wire(value));
}

/** One byte per character: a string would go out as UTF-8. */
function wire(text: string): string | Buffer {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'latin1') : text;
}
