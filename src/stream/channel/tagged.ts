/**
 * `clients = "tagged"`: a shared program is told who has come, spoken and left, and says to whom it answers. One JSON object a line:
 *
 *   in   {"client":"c1","event":"open","address":"192.168.1.7","query":"room=2"}
 *        {"client":"c1","event":"message","data":"hello"}
 *        {"client":"c1","event":"close"}
 *   out  {"to":"c1","data":"for one"}   {"to":["c1","c2"],"data":"for two"}   {"data":"for all"}
 *
 * `data` is text; another JSON value goes to the clients as JSON text.
 */
import type { Member } from './member.ts';

/** What a program said: to these clients, or to all. */
export interface TaggedMessage {
  readonly to: readonly string[] | undefined;
  readonly data: Buffer;
}

const MAX_QUERY = 1024;

export function openLine(member: Member): Buffer {
  const { address, user } = member.facts;
  // The client chooses it, and may choose a long one.
  const query = member.facts.query.slice(0, MAX_QUERY);
  return Buffer.from(
    JSON.stringify({
      client: member.id,
      event: 'open',
      address,
      query,
      ...(user === undefined ? {} : { user: user.name }),
    }),
  );
}

/** @param member undefined for a message by POST from somebody who has no connection */
export function tellLine(member: Member | undefined, event: 'message' | 'close', message: Buffer | undefined): Buffer {
  const data = message === undefined ? {} : { data: message.toString() };
  return Buffer.from(JSON.stringify({ client: member?.id ?? null, event, ...data }));
}

/** Undefined for a line that is not in the format. */
export function parseTagged(line: Buffer): TaggedMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line.toString());
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('data' in value)) return undefined;
  const data = Buffer.from(typeof value.data === 'string' ? value.data : JSON.stringify(value.data));
  if (!('to' in value)) return { to: undefined, data };
  const { to } = value;
  if (typeof to === 'string') return { to: [to], data };
  if (Array.isArray(to) && to.every((id): id is string => typeof id === 'string')) return { to, data };
  return undefined;
}
