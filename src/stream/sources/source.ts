/**
 * What stands behind a stream: a source of messages. A client that has a source of its own reads from it and writes to it
 * (`WritableSource`: a program, a connection). A source that many clients share takes each message with the client that sent it, and
 * may answer it (`SharedSource`: a program, a tagged program, a polled target).
 */
import type { Answer, Call } from '../../http/handler.ts';
import type { SourceStatus } from '../../ops/status.ts';
import type { Held } from '../../ownership/held.ts';
import type { ClientRequest } from '../../policy/addresses.ts';
import type { Ending } from '../message.ts';

export interface Source {
  /** It is not needed any more: what it still says is thrown away, and it is ended. */
  release(): void;
  /** What it tells the operator, where it is more than that it is there. */
  status?(): Partial<SourceStatus>;
}

/** What is written to, and may be held back. */
export interface WritableSource extends Source {
  /** Bytes written that have not been taken. */
  readonly waiting: number;
  /** False: taken, but the source is behind; `SourceEvents.drain` will tell. */
  write(message: Buffer): boolean;
  /** Nothing more is written; what it says goes on. */
  endInput(): void;
  pause(): void;
  resume(): void;
}

/** A client of a shared stream, as its source is told of it. */
export interface ClientIdentity {
  /** The stream gives none twice. */
  readonly id: string;
  readonly facts: ClientFacts;
}

export interface ClientFacts {
  readonly address: string;
  readonly query: string;
  readonly user: { readonly name: string; readonly type: string } | undefined;
}

/** The answer to one message, for its sender alone. */
export interface MessageAnswer {
  readonly data: Buffer;
  /** Of HTTP. */
  readonly status: number;
  readonly type: string | undefined;
}

/** What a channel says of a client's message: sent, dropped because the source does not take as much, or because none runs. */
export type SendResult = 'sent' | 'full' | 'away';

export interface SharedSource extends Source {
  /**
   * Takes a message of a client, or says why not. A source that answers each message returns a promise of the answer,
   * which rejects with an `HttpError` when none comes; messages of one sender are answered one after the other.
   * @param sender undefined for a client without a connection
   * @param type the message's media type, where the client has said one
   * @param binary whether it came as a binary message
   */
  send(
    sender: ClientIdentity | undefined,
    message: Buffer,
    type: string | undefined,
    binary: boolean,
  ): SendResult | Promise<MessageAnswer>;
  /** Called for each client that joins, and for all that are there when the source has started. */
  joined(client: ClientIdentity): void;
  left(client: ClientIdentity): void;
  /** What a client that joins must have to understand the next message, instead of history; undefined where it needs nothing. */
  snapshot(): Buffer | undefined;
  /** While something is wrong: the sentence about it, for a client that joins now. The others had it by `SharedSourceEvents.notice`. */
  currentNotice(): string | undefined;
}

/** Where a program writes. */
export type OutputName = 'stdout' | 'stderr';

/** What a source tells. Nothing of it comes before its constructor has returned. */
export interface SourceEvents {
  /**
   * Messages that came together, in order.
   * @param binary whether they are binary to clients, where it is not the framing that says so
   * @param picture their media type, where they are pictures and it is not the framing that says so
   */
  messages(batch: readonly Buffer[], binary?: boolean, picture?: string): void;
  /** A line of a program's stderr, where clients are to get it. */
  stderr(line: Buffer): void;
  /** The beginning of a line whose end has not come yet: instead of the one that was told before. */
  partial?(text: Buffer, output: OutputName): void;
  /** Everything that was written to it has been taken by it. */
  drain(): void;
  /** Once, and last. */
  ended(ending: Ending): void;
}

/** What a shared source tells in addition. */
export interface SharedSourceEvents extends SourceEvents {
  /** A message for these clients alone, by their ids. */
  messageFor(clients: readonly string[], message: Buffer): void;
  /** A sentence about the stream for everybody. */
  notice(text: string): void;
  /** The id of the stream's newest message. */
  lastId(): string;
  /**
   * Undefined: every message until now is as safe as `history` promises. Otherwise a promise that resolves once that is so (true), or
   * when it cannot be (false): the disk is full, say, and the log has told why.
   */
  kept(): Promise<boolean> | undefined;
}

/** Makes the source out of what was started for it: a program, a connection. */
export type StartedSource = (events: SourceEvents) => WritableSource;

/** The sources of a stream whose clients have one each. */
export interface PrivateSources {
  /** Starts one for this call, which holds it; rejects with the `HttpError` that refuses the client. */
  start(call: Call): Promise<Held<StartedSource>>;
  /** Ends what is left of them, where their own release does not. */
  close(): Promise<void>;
}

/** The sources of a stream whose clients share them. */
export interface SharedSources {
  /**
   * Starts the one of a channel; rejects with the `HttpError` that refuses the client.
   * @param first the call whose credentials it passes on, where `share` says so
   * @param query what of a client's query tells channels apart
   */
  start(first: Call | undefined, query: string, events: SharedSourceEvents): Promise<SharedSource>;
  /** What takes requests that write; undefined: each is one message, which the source gets by `SharedSource.send`. */
  readonly requests?: WritingRequests | undefined;
}

/** A source of its own kind for requests: they are answered with what became of them, and their bodies may go on. */
export interface WritingRequests {
  readonly methods: readonly string[];
  /** See `Handler.takesLive`. */
  takesLive(request: ClientRequest): boolean;
  answer(call: Call): Answer | Promise<Answer>;
  /** Those under way are answered, and nothing more is taken. */
  finish(reason: string): void;
}
