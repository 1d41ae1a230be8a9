/**
 * What a client shows that sends by POST: proof that it is the client that the stream was opened for. A name alone is none, because
 * names are numbers that anybody can count. Nothing is kept for it: it can be worked out again from the number and the user.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ClientFacts } from '../sources/source.ts';

/** Hexadecimal digits of the proof: 72 bits, which nobody can guess by asking. Behind them stands the client's number. */
const PROOF = 18;
const NUMBER = 6;

export class Sessions {
  private readonly key = randomBytes(32);

  /** Told only to the client with this number. It is of no use to another user. */
  issue(number: number, user: ClientFacts['user']): string {
    return `${this.proof(number, user)}${number.toString(16).padStart(NUMBER, '0')}`;
  }

  /** The number of the client whose session this is; undefined where it is nobody's, or another user's. */
  numberOf(session: string, user: ClientFacts['user']): number | undefined {
    if (!/^[0-9a-f]{24,31}$/.test(session)) return undefined;
    const number = Number.parseInt(session.slice(PROOF), 16);
    const [shown, wanted] = [session, this.issue(number, user)].map((text) => Buffer.from(text));
    if (shown === undefined || shown.length !== wanted?.length) return undefined;
    return timingSafeEqual(shown, wanted) ? number : undefined;
  }

  private proof(number: number, user: ClientFacts['user']): string {
    const who = user === undefined ? [] : [user.type, user.name];
    return createHmac('sha256', this.key)
      .update(JSON.stringify([number, ...who]))
      .digest('hex')
      .slice(0, PROOF);
  }
}
