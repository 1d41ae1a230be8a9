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

/**
 * One message on its way to clients. Each form in which a transport sends it is made once, by whoever needs it first, and
 * shared by all clients.
 */
export class Message {
  private textForm: Buffer | undefined;
  private numberedForm: Buffer | undefined;
  private eventForm: Buffer | undefined;

  constructor(
    readonly data: Buffer,
    /** Whether it is binary to clients; otherwise it is text. */
    readonly binary: boolean,
    /** Names it in its stream; "" for one that cannot be resumed from: of an unshared stream, or for one client alone. */
    readonly id: string,
    /** Its place in the stream, from 1; 0 without an id. */
    readonly sequence: number,
  ) {}

  /** What a plain WebSocket gets: the data, made valid UTF-8 where it is text. */
  get payload(): Buffer {
    if (this.binary) return this.data;
    this.textForm ??= asText(this.data);
    return this.textForm;
  }

  /**
   * What a WebSocket gets that asked for numbers: a text message begins with a line `id:ID`, a binary one with a byte that is the
   * length of the id, and the id.
   */
  get numbered(): Buffer {
    if (this.numberedForm === undefined) {
      const head = this.binary
        ? Buffer.concat([Buffer.from([this.id.length]), Buffer.from(this.id)])
        : Buffer.from(`id:${this.id}\n`);
      this.numberedForm = Buffer.concat([head, this.payload]);
    }
    return this.numberedForm;
  }

  /** An event of an event stream (HTML standard, section 9.2.6). */
  get event(): Buffer {
    this.eventForm ??= eventOf(
      undefined,
      this.binary ? this.data.toString('base64') : this.payload.toString(),
      this.id,
    );
    return this.eventForm;
  }
}

/** One event. Data of several lines become several `data` fields, which the browser joins again; a CR would end a line too. */
export function eventOf(name: string | undefined, data: string, id: string): Buffer {
  let text = id === '' ? '' : `id: ${id}\n`;
  if (name !== undefined) text += `event: ${name}\n`;
  for (const line of data.split(/\r\n|\n|\r/)) text += `data: ${line}\n`;
  return Buffer.from(`${text}\n`);
}
