/** `runnel/client`: a stream as a readable and a writable side, from Node. Described in docs/connect.md. */
import { ReadableStream, WritableStream } from 'node:stream/web';
import type { Item } from './inbox.ts';
import { type ConnectOptions, type Facts, planOf } from './options.ts';
import { Session } from './session.ts';
import type { Ending } from './transports/link.ts';

export { ConnectionError, type Failure } from './errors.ts';
export type { ConnectOptions, Facts, StreamEvent, Times, Tls, Transport } from './options.ts';
export type { Ending } from './transports/link.ts';

/** Bytes (RFC 6455 section 5.5). */
const MAX_REASON = 123;

/** A message: text is a string, binary is bytes. */
export type Data = string | Uint8Array;

export interface Connection {
  /**
   * The messages. It ends when the server has closed the stream, and errors with a `ConnectionError` when the connection was lost. What came
   * before either is given first. A reader that stops holds the server back. Cancelling it says that nothing more will be read.
   */
  readonly readable: ReadableStream<Data>;
  /** Takes messages. It errors when the stream is over. Closing it says that nothing more will be sent; aborting it drops the connection. */
  readonly writable: WritableStream<Data>;
  /** How the stream was closed, by either side; rejects with a `ConnectionError` when it was lost instead. */
  readonly closed: Promise<Ending>;
  readonly facts: Facts;
  /** The id of the message that was read last: `after` of a later `connect`. "" where there is none. */
  readonly lastEventId: string;
  /** Ends both sides in good order; what was not read is dropped. Rejects with a `TypeError` for a code or a reason that cannot be sent. */
  close(code?: number, reason?: string): Promise<Ending>;
}

/**
 * Connects to a stream. Resolves when the server has let us in. Rejects with a `ConnectionError`, or with a `TypeError` for arguments that
 * cannot be meant.
 */
export async function connect(url: string | URL, options: ConnectOptions = {}): Promise<Connection> {
  const session = new Session(planOf(url, options), options.signal);
  await session.open();
  return new StreamConnection(session);
}

function dataOf({ data, isText }: Item): Data {
  return isText && typeof data !== 'string' ? Buffer.from(data.buffer, data.byteOffset, data.length).toString() : data;
}

class StreamConnection implements Connection {
  readonly readable: ReadableStream<Data>;
  readonly writable: WritableStream<Data>;
  readonly closed: Promise<Ending>;

  constructor(private readonly session: Session) {
    this.closed = session.closed.promise;
    this.readable = new ReadableStream<Data>(
      {
        async pull(controller) {
          const item = await session.next();
          if (item === undefined) controller.close();
          else controller.enqueue(dataOf(item));
        },
        cancel: () => session.finishReading(),
      },
      // The session has a bound of its own, and `lastEventId` is about what was read.
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Data>({
      start: (controller) => {
        const over = (): void => controller.error(session.unwritable());
        session.closed.promise.then(over, over);
      },
      write: (data) => {
        if (typeof data === 'string' || data instanceof Uint8Array) return session.send(data);
        throw new TypeError('a message is a string or a Uint8Array');
      },
      close: () => session.finishWriting(),
      abort: (reason) => session.terminate(reason),
    });
  }

  get facts(): Facts {
    return this.session.facts;
  }

  get lastEventId(): string {
    return this.session.lastEventId;
  }

  async close(code = 1000, reason = ''): Promise<Ending> {
    if (code !== 1000 && !(code >= 3000 && code <= 4999))
      throw new TypeError('a close code is 1000, or from 3000 to 4999');
    if (Buffer.byteLength(reason) > MAX_REASON) throw new TypeError(`a reason has at most ${MAX_REASON} bytes`);
    this.session.close({ code, reason });
    return await this.closed;
  }
}
