/** The two ends that a channel joins: clients on one side, a source on the other. */
import type { Ending, Message } from './message.ts';

/** Where a message came from: what a client can tell apart. */
export type Origin = 'stdout' | 'stderr';

/** What a client is told beside the messages, where its transport has a place for it. */
export type Notice =
  /** The first of all: how the client is called, and where in the stream it stands; "" for a position that cannot be resumed from. */
  | { readonly kind: 'joined'; readonly id: string; readonly facts: { readonly [name: string]: string } }
  /** Messages that it will not get; undefined when nobody knows how many. */
  | { readonly kind: 'missed'; readonly count: number | undefined }
  /** A sentence for people about the stream: the program ended and is started again, the old server does not answer. */
  | { readonly kind: 'notice'; readonly text: string };

/** The client's end, whatever its transport. */
export interface Client {
  /** Takes messages that belong together. False: taken, but the client is behind; its owner will hear when it has caught up. */
  deliver(batch: readonly Message[], origin: Origin): boolean;
  notice(notice: Notice): void;
  /** A message of the client came by another way than its connection: it is not idle. */
  spoke(): void;
  /** Bytes that the client has not taken. */
  readonly bufferedAmount: number;
  /** Shows that the connection lives, and finds out whether it does. */
  ping(): void;
  /** Ends the stream behind what was delivered. */
  close(ending: Ending): void;
  /** Drops the connection. */
  terminate(): void;
  /** Stops taking the client's messages. False where that is not possible. */
  pause(): boolean;
  resume(): void;
}

/** A client's message to a source that answers it. */
export interface ClientMessage {
  readonly data: Buffer;
  /** Its media type, where the client has said one. */
  readonly type: string | undefined;
  /** Who asks: messages of one client are answered one after the other. */
  readonly sender: string | undefined;
}

export interface MessageAnswer {
  readonly data: Buffer;
  /** Of HTTP. */
  readonly status: number;
  readonly type: string | undefined;
}

/** The other end. */
export interface Source {
  /** Bytes written that have not been taken. */
  readonly waiting: number;
  /** False: taken, but the source is behind; `drain` will tell. */
  write(message: Buffer): boolean;
  /**
   * A message that is answered by itself; the answer is for its sender alone. False when there is no room for it; rejects with an
   * `HttpError` when no answer comes. Undefined where messages are not answered one by one.
   */
  ask?(message: ClientMessage): Promise<MessageAnswer | false>;
  /** What a client that joins must have to understand the next message, instead of history. */
  snapshot?(): Buffer | undefined;
  /** What everybody was told when it went wrong, as long as it is wrong: for a client that comes meanwhile. */
  currentNotice?(): string | undefined;
  endInput(): void;
  pause(): void;
  resume(): void;
  /** Nobody needs it any more: what it still says is thrown away, and it is ended. */
  release(): void;
}

/** What a source tells. */
export interface SourceEvents {
  /** Messages that came together, in order. */
  messages(batch: readonly Buffer[]): void;
  /** A line of a program's stderr, where clients are to get it. */
  stderr(line: Buffer): void;
  /** A sentence about the stream for everybody. */
  notice(text: string): void;
  /** Everything that was waiting for the source has been taken by it. */
  drain(): void;
  /** Once, and last. */
  ended(ending: Ending): void;
}
