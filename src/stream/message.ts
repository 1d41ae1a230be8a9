/** What flows through a stream, and how a stream ends: the words that clients, backends and channels share. */
import { isUtf8 } from 'node:buffer';
import type { Exit } from '../process/spawn.ts';

/** Close codes that the gateway sends (RFC 6455 section 7.4.1). */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  unsupportedData: 1003,
  tooBig: 1009,
  internalError: 1011,
  tryAgainLater: 1013,
} as const;

/** Why a stream is over, as a WebSocket close code and a reason for people. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

/** The honest ending of a program: 0 is a normal end, everything else is told as it was. */
export function endingOf(exit: Exit): Ending {
  if (exit.signal !== undefined) return { code: CLOSE.internalError, reason: `signal ${exit.signal}` };
  return { code: exit.code === 0 ? CLOSE.normal : CLOSE.internalError, reason: `exit ${exit.code}` };
}

/** Text as a client may get it: a program can print anything, a text message must be UTF-8 (RFC 6455 section 8.1). */
export function asText(bytes: Buffer): Buffer {
  return isUtf8(bytes) ? bytes : Buffer.from(bytes.toString('utf8'));
}
