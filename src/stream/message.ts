/** What flows through a stream, and how a stream ends: the words that clients, sources and channels share. */
import { isUtf8 } from 'node:buffer';
import type { Exit } from '../process/spawn.ts';

/** Close codes that the gateway sends (RFC 6455 section 7.4.1). */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  unsupportedData: 1003,
  policyViolation: 1008,
  tooBig: 1009,
  internalError: 1011,
  tryAgainLater: 1013,
} as const;

/** Why a stream is over, as a WebSocket close code and a reason for people. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
  /** Only this connection has ended: the client may come again. */
  readonly again?: boolean;
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
 * One message on its way to clients. What a transport makes of it is kept only while it goes to all clients at once (`share`): who
 * gets it later has it made anew, so that a message in the history is there once.
 */
export class Message {
  readonly data: Buffer;
  private shared = false;
  private numberedForm: Buffer | undefined;
  private eventForm: Buffer | undefined;

  /** @param data what is not UTF-8 in a text message is made so */
  constructor(
    data: Buffer,
    /** Whether it is binary to clients; otherwise it is text. */
    readonly binary: boolean,
    /** Names it in its stream; "" for one that cannot be resumed from: of an unshared stream, or for one client alone. */
    readonly id: string,
    /** Its number in the stream, from 1; 0 without an id. */
    readonly sequence: number,
    /** It is known to be what it has to be. */
    checked = false,
  ) {
    this.data = binary || checked ? data : asText(data);
  }

  /** From here on each form is made once, until `unshare`. */
  share(): void {
    this.shared = true;
  }

  unshare(): void {
    this.shared = false;
    this.numberedForm = undefined;
    this.eventForm = undefined;
  }

  /** Its media type, if it is a picture. */
  get picture(): string | undefined {
    return undefined;
  }

  /** Its media type. */
  get type(): string {
    return this.binary ? 'application/octet-stream' : 'text/plain; charset=utf-8';
  }

  /** What a plain WebSocket gets. */
  get payload(): Buffer {
    return this.data;
  }

  /**
   * What a WebSocket gets that asked for numbers: a text message begins with a line `id:ID`, a binary one with a byte that is the
   * length of the id, and the id.
   */
  get numbered(): Buffer {
    if (this.numberedForm !== undefined) return this.numberedForm;
    const made = this.makeNumbered();
    if (this.shared) this.numberedForm = made;
    return made;
  }

  /** An event of an event stream (HTML standard, section 9.2.6). */
  get event(): Buffer {
    if (this.eventForm !== undefined) return this.eventForm;
    const made = this.makeEvent();
    if (this.shared) this.eventForm = made;
    return made;
  }

  private makeNumbered(): Buffer {
    const head = this.binary
      ? Buffer.concat([Buffer.from([this.id.length]), Buffer.from(this.id)])
      : Buffer.from(`id:${this.id}\n`);
    return Buffer.concat([head, this.data]);
  }

  private makeEvent(): Buffer {
    return eventOf(undefined, this.data.toString(this.binary ? 'base64' : 'utf8'), this.id);
  }
}

/** A message that is a picture: of a kind of its own, so that the others need no room for a type. */
export class Picture extends Message {
  constructor(
    data: Buffer,
    id: string,
    sequence: number,
    private readonly mediaType: string,
  ) {
    super(data, true, id, sequence);
  }

  override get picture(): string {
    return this.mediaType;
  }

  override get type(): string {
    return this.mediaType;
  }
}

/** @param picture its media type, where it is a picture; @param checked it is known to be what it has to be */
export function makeMessage(
  data: Buffer,
  binary: boolean,
  id: string,
  sequence: number,
  picture: string | undefined,
  checked = false,
): Message {
  return picture === undefined
    ? new Message(data, binary, id, sequence, checked)
    : new Picture(data, id, sequence, picture);
}

/** Types of pictures that are nothing but pictures: an SVG from somebody else would be a page of ours. */
const PICTURE = /^\s*(image\/(?:jpeg|png|webp|gif|avif|bmp))\s*(?:;|$)/i;

/** The type of a picture, from the Content-Type that its source declares; undefined for other things. */
export function pictureType(contentType: string): string | undefined {
  const type = PICTURE.exec(contentType)?.[1]?.toLowerCase();
  // What old cameras call it.
  return type ?? (/^\s*image\/jpg\b/i.test(contentType) ? 'image/jpeg' : undefined);
}

/** One event. Data of several lines become several `data` fields, which the browser joins again; a CR would end a line too. */
export function eventOf(name: string | undefined, data: string, id: string): Buffer {
  let text = id === '' ? '' : `id: ${id}\n`;
  if (name !== undefined) text += `event: ${name}\n`;
  for (const line of data.split(/\r\n|\n|\r/)) text += `data: ${line}\n`;
  return Buffer.from(`${text}\n`);
}
