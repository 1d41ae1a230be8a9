/** Writes a reply's head with uWebSockets.js. */

import type { HttpResponse } from 'uWebSockets.js';
import type { HeaderList, Reply } from '../engine.ts';
import { REASONS } from '../reasons.ts';
import { closingHead, isSendable, reasonOf } from '../replies.ts';

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

/** The head of a reply that ends the connection, to be written as its status: around that uWebSockets.js writes what is left out. */
export function wholeHead(reply: Reply, length: number | undefined): string | Buffer {
  return wire(closingHead(reply, length));
}

/** Of a list of headers. */
interface KnownHead {
  readonly status: number;
  /** Undefined: it cannot be sent so. */
  readonly head: string | undefined;
}

/**
 * The heads of replies that are given again and again, checked and put together once. They go out as one text behind the status, because
 * uWebSockets.js writes that as it is, and each call into it costs as much as the text.
 */
export class LastingHeads {
  private readonly known = new WeakMap<HeaderList, KnownHead>();
  /** Of the reply that was given last: it is asked for twice, and mostly given again. */
  private last: HeaderList | undefined;
  private lastHead: KnownHead | undefined;

  /** Undefined for a reply that is not lasting, or cannot be sent so. */
  of(reply: Reply): string | undefined {
    if (reply.lasting === undefined) return undefined;
    const { headers, status } = reply;
    if (headers !== this.last || status !== this.lastHead?.status) {
      const known = this.known.get(headers);
      this.last = headers;
      this.lastHead = known?.status === status ? known : this.make(reply);
    }
    return this.lastHead.head;
  }

  private make(reply: Reply): KnownHead {
    const known = { status: reply.status, head: this.text(reply) };
    this.known.set(reply.headers, known);
    return known;
  }

  private text(reply: Reply): string | undefined {
    if (!isSendable(reply)) return undefined;
    const fields = reply.headers.filter(([name]) => name !== 'date').map(([name, value]) => `\r\n${name}: ${value}`);
    const head = `${reply.status} ${reasonOf(reply)}${fields.join('')}`;
    return NOT_ASCII.test(head) ? undefined : head;
  }
}

/** One byte per character: a string would go out as UTF-8. */
function wire(text: string): string | Buffer {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'latin1') : text;
}
