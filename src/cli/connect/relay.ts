/** A stream of bytes in both directions, joined with a session: what comes in is framed into messages, and the other way round. */
import { isUtf8 } from 'node:buffer';
import type { Readable, Writable } from 'node:stream';
import { ConnectionError } from '../../client/errors.ts';
import type { Item } from '../../client/inbox.ts';
import type { Session } from '../../client/session.ts';
import type { Ending } from '../../client/transports/link.ts';
import { FramingError } from '../../stream/framing.ts';
import type { ConnectSettings } from './settings.ts';

/** How it ended: by the stream, or by our side of it. */
export type Outcome = Ending | ConnectionError | FramingError | 'counted' | 'unread';

/** Bytes of messages that are written together. */
const BATCH = 64 * 1024;
const EMPTY = Buffer.alloc(0);
const SMALLEST = 512;

const NORMAL: Ending = { code: 1000, reason: '' };

export interface Ends {
  readonly input: Readable;
  readonly output: Writable;
  /** Whether the input may go on when nobody reads the output any more. */
  readonly apart: boolean;
}

/** Until the stream is over, or nobody takes what it says. Neither end is closed. Never rejects. */
export async function relay(
  session: Session,
  ends: Ends,
  settings: Pick<ConnectSettings, 'framing' | 'json' | 'count' | 'linger' | 'maxMessage'>,
): Promise<Outcome> {
  const { input, output } = ends;
  const lingering = new Lingering(session, settings.linger);
  let mine: Outcome | undefined;
  const endWith = (outcome: Outcome): void => {
    mine ??= outcome;
    session.close(NORMAL);
  };
  const unread = (): void => {
    if (ends.apart) session.finishReading();
    else endWith('unread');
  };
  output.on('error', unread).on('close', unread);
  void send(session, input, settings)
    .then(() => lingering.begin())
    .catch((error: unknown) => {
      // That it is over is told by the stream itself.
      if (error instanceof FramingError) endWith(error);
      else if (error instanceof ConnectionError && error.status !== undefined) endWith(error);
    });
  const outcome = await receive(session, output, settings, lingering).catch((error: unknown) => failure(error));
  lingering.end();
  if (outcome === 'counted') session.close(NORMAL);
  const ended = await session.closed.promise.catch((error: unknown) => failure(error));
  if (mine !== undefined) return mine;
  return outcome ?? ended;
}

/** Every message of the input, at the pace at which they are taken. Then the stream is told that it was the last. */
async function send(
  session: Session,
  input: Readable,
  { framing, maxMessage }: Pick<ConnectSettings, 'framing' | 'maxMessage'>,
): Promise<void> {
  const decoder = framing.decoder(maxMessage);
  const sendAll = async (messages: readonly Buffer[]): Promise<void> => {
    for (const message of messages) {
      // A text has to be UTF-8: what is not becomes U+FFFD.
      const wait =
        framing.binary || isUtf8(message) ? session.send(message, !framing.binary) : session.send(message.toString());
      if (wait !== undefined) await wait;
    }
  };
  // Input and output may be one socket, whose last bytes are still on their way.
  for await (const chunk of input.iterator({ destroyOnReturn: false })) await sendAll(decoder.push(chunk as Buffer));
  await sendAll(decoder.end());
  await session.finishWriting();
}

/** @returns undefined when the stream was closed */
async function receive(
  session: Session,
  output: Writable,
  settings: Pick<ConnectSettings, 'framing' | 'json' | 'count'>,
  lingering: Lingering,
): Promise<'counted' | undefined> {
  const { framing, json, count } = settings;
  const batch = new Batch(output);
  let left = count;
  const take = (item: Item): boolean => {
    lingering.heard();
    if (json) batch.add(Buffer.from(jsonLine(item)));
    else for (const piece of framing.encode(bytesOf(item))) batch.add(piece);
    left--;
    return left > 0 && !batch.isFull;
  };
  try {
    while (left > 0) {
      if (!(await session.each(take))) return undefined;
      if (!batch.write()) await drained(output);
    }
    return 'counted';
  } finally {
    batch.write();
  }
}

/** Small pieces in one buffer and one write: a list of them costs more than their bytes. */
class Batch {
  private bytes = EMPTY;
  private length = 0;
  private taken = 0;
  private more = true;
  private isPlanned = false;
  private readonly flush = (): void => {
    this.isPlanned = false;
    this.write();
  };

  constructor(private readonly output: Writable) {}

  /** Whether it is to be written, and the output to be waited for. */
  get isFull(): boolean {
    return this.taken >= BATCH || !this.more;
  }

  add(piece: Buffer): void {
    this.taken += piece.length;
    // What comes in one turn goes out together.
    if (!this.isPlanned) process.nextTick(this.flush);
    this.isPlanned = true;
    if (this.length + piece.length > this.bytes.length) this.room(piece.length);
    if (piece.length > BATCH / 2) this.more = this.output.write(piece);
    else this.length += piece.copy(this.bytes, this.length);
  }

  /** @returns whether the output takes more at once */
  write(): boolean {
    if (this.output.writableNeedDrain === false) this.more = true;
    if (this.length > 0) this.more = this.output.write(this.bytes.subarray(0, this.length));
    this.bytes = EMPTY;
    this.length = this.taken = 0;
    return this.more;
  }

  private room(wanted: number): void {
    const { bytes, length } = this;
    if (wanted > BATCH / 2 || length + wanted > BATCH) {
      this.write();
      if (wanted <= BATCH / 2) this.bytes = Buffer.allocUnsafeSlow(BATCH);
      return;
    }
    this.bytes = Buffer.allocUnsafeSlow(Math.min(BATCH, Math.max(SMALLEST, (length + wanted) * 2)));
    bytes.copy(this.bytes, 0, 0, length);
  }
}

function bytesOf({ data }: Item): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.length);
}

function jsonLine({ data, isText, id }: Item): string {
  const json = isText
    ? { id, data: typeof data === 'string' ? data : bytesOf({ data, isText, id }).toString() }
    : { id, base64: bytesOf({ data, isText, id }).toString('base64') };
  return `${JSON.stringify(json)}\n`;
}

/** Also when it will take nothing any more. */
async function drained(output: Writable): Promise<void> {
  if (output.destroyed || output.errored) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      output.off('drain', done).off('close', done).off('error', done);
      resolve();
    };
    output.on('drain', done).on('close', done).on('error', done);
  });
}

/** Closes a stream on which nothing comes any more, once the input has ended. */
class Lingering {
  private timer: NodeJS.Timeout | undefined;
  private begun = false;

  constructor(
    private readonly session: Session,
    private readonly time: number | undefined,
  ) {}

  begin(): void {
    this.begun = true;
    this.heard();
  }

  heard(): void {
    if (!this.begun || this.time === undefined) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.session.close(NORMAL), this.time);
  }

  end(): void {
    this.begun = false;
    clearTimeout(this.timer);
  }
}

function failure(error: unknown): ConnectionError {
  if (error instanceof ConnectionError) return error;
  return new ConnectionError('lost', error instanceof Error ? error.message : String(error), { cause: error });
}
