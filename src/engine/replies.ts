/**
 * Replies as both engines send them: what may go onto the wire, which neither checks by itself, what is said of an exception, and the text of a
 * reply where we write it ourselves.
 */

import { CONNECTION_FIELDS } from '../net/connection-fields.ts';
import { type BodySource, type HeaderList, headerValue, type Reply, type Upgrade } from './engine.ts';
import { isFieldValue, isToken } from './heads.ts';
import { REASONS } from './reasons.ts';

/** Fields that only an engine writes (RFC 9110 section 7.6.1, RFC 9112 section 6). A handler that has them must drop them first. */
export const FRAMING_FIELDS: ReadonlySet<string> = new Set([...CONNECTION_FIELDS, 'content-length']);

const UPGRADE_REQUIRED = 426;

/** A reply of which the client takes nothing for so long is given up. Milliseconds. */
export const STALLED_REPLY = 60_000;

/** The reply, or where it cannot be sent a 500 in its place; what was wrong is told to `failed`. Before anything is written. */
export function sendableReply(reply: Reply, failed: (error: unknown) => void): Reply {
  const problem = replyProblem(reply);
  if (problem === undefined) return reply;
  if (isSource(reply.body)) reply.body.cancel();
  failed(new Error(`a reply cannot be sent: ${problem}`));
  return internalError();
}

/** Whether a reply can be sent as it is. */
export function isSendable(reply: Reply): boolean {
  return replyProblem(reply) === undefined;
}

/** All that a client is told of an exception. */
export function internalError(): Reply {
  return plainReply(500, 'Internal Server Error');
}

/** Why a reply cannot be sent; undefined when it can. */
function replyProblem(reply: Reply): string | undefined {
  const { status, reason } = reply;
  if (!Number.isInteger(status) || status < 200 || status > 999) return `status ${status} is not in 200 to 999`;
  if (reason !== undefined && !isFieldValue(reason)) return 'the reason phrase has characters that it must not have';
  return headerProblem(reply.headers, status === UPGRADE_REQUIRED);
}

/** Why a switch to WebSocket cannot be sent; undefined when it can. */
export function upgradeProblem(upgrade: Upgrade, offered: readonly string[]): string | undefined {
  const { protocol } = upgrade;
  if (protocol !== undefined && !offered.includes(protocol)) return 'a subprotocol that the client did not offer';
  if (headerValue(upgrade.headers, 'sec-websocket-protocol') !== undefined) return 'a subprotocol among the headers';
  return headerProblem(upgrade.headers);
}

/** `upgradeAllowed`: a 426 must say to what (RFC 9110 section 15.5.22). */
function headerProblem(headers: HeaderList, upgradeAllowed = false): string | undefined {
  for (const [name, value] of headers) {
    if (!isToken(name)) return `${JSON.stringify(name)} is not a header name`;
    if (FRAMING_FIELDS.has(name) && !(upgradeAllowed && name === 'upgrade')) {
      return `the header ${name} is written by the engine`;
    }
    if (!isFieldValue(value)) return `the header ${name} has characters that it must not have`;
  }
  return undefined;
}

/** Whether the answer names a protocol to switch to: then its Connection field must say `upgrade`, too (RFC 9110 section 7.8). */
export function namesUpgrade({ status, headers }: Reply): boolean {
  return status === UPGRADE_REQUIRED && headerValue(headers, 'upgrade') !== undefined;
}

/** A reply in plain text: what an engine says by itself. */
export function plainReply(status: number, text: string, headers: HeaderList = []): Reply {
  return {
    status,
    headers: [['content-type', 'text/plain; charset=utf-8'], ...headers],
    body: `${text}\n`,
    close: true,
  };
}

/**
 * The head of a reply behind which the connection is closed, in the form in which it goes onto the wire, but for "HTTP/1.1 " before it and the empty
 * line behind it. One character per byte. `length` is that of the body, undefined where none is to be announced.
 */
export function closingHead(reply: Reply, length: number | undefined): string {
  const fields = reply.headers.filter(([name]) => name !== 'date').map(([name, value]) => `${name}: ${value}\r\n`);
  if (length !== undefined) fields.push(`content-length: ${length}\r\n`);
  const date = `date: ${new Date().toUTCString()}\r\n`;
  const connection = namesUpgrade(reply) ? 'upgrade, close' : 'close';
  return `${reply.status} ${reasonOf(reply)}\r\n${fields.join('')}${date}connection: ${connection}\r\n`;
}

/**
 * The whole of a reply that has a text, in the form in which it goes onto the wire, for a connection that nothing else writes to. Names of fields
 * are written as in the RFCs, for clients that compare them so.
 */
export function closingText(reply: Reply): string {
  const body = typeof reply.body === 'string' ? reply.body : '';
  const head = closingHead(reply, Buffer.byteLength(body)).replaceAll(/^[a-z-]+(?=:)/gm, titleCase);
  return `HTTP/1.1 ${head}\r\n${body}`;
}

function titleCase(name: string): string {
  return name.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase());
}

export function reasonOf(reply: Reply): string {
  return reply.reason ?? REASONS[reply.status] ?? 'Unknown';
}

/** Whether a reply goes without a body whatever its `body` says (RFC 9110 sections 9.3.2, 15.3.5, 15.4.5). */
export function isBodiless(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304;
}

export function isSource(body: Reply['body']): body is BodySource {
  return typeof body === 'object' && 'start' in body;
}

/** Bytes of a reply's body; undefined for none, and for a source that does not know. */
export function bodyLength(body: Reply['body']): number | undefined {
  if (body === undefined) return undefined;
  return typeof body === 'string' ? Buffer.byteLength(body) : body.length;
}

/** There will be no WebSocket: the client has left before its 101. */
export function cancelUpgrade(upgrade: Upgrade | undefined): void {
  upgrade?.cancel();
  upgrade?.record?.cancelled();
}
