/** What a client of a stream is, whatever its transport, and how it gets to its channel. */
import type { Deflating } from '../../engine/engine.ts';
import type { Log } from '../../ops/log.ts';
import type { StreamCounts } from '../counts.ts';
import { CLOSE, type Ending, type Message } from '../message.ts';
import type { KeepAlive } from './keepalive.ts';

/** Where a message came from: what a client can tell apart. */
export type MessageOrigin = 'stdout' | 'stderr';

/** What a client is told beside the messages, where its transport has a way to tell it. */
export type Notice =
  /** The first of all: how the client is called, and where in the stream it stands; "" for a position that cannot be resumed from. */
  | { readonly kind: 'joined'; readonly id: string; readonly facts: { readonly [name: string]: string } }
  /** Messages that it will not get; undefined when nobody knows how many. */
  | { readonly kind: 'missed'; readonly count: number | undefined }
  /** A sentence for people about the stream: the program ended and is started again, the old server does not answer. */
  | { readonly kind: 'notice'; readonly text: string }
  /** The beginning of a line of stdout or stderr whose end has not come yet; it is told instead of the one before. */
  | { readonly kind: 'partial' | 'partial-stderr'; readonly text: string };

/** A notice as text: the data of an event, and what follows the first line of a WebSocket's event. */
export function noticeText(
  notice: Notice,
  /** What the transport adds to what a client is told when it has joined. */
  about: { readonly [name: string]: string | number },
): string {
  if (notice.kind === 'missed') return String(notice.count ?? '');
  if (notice.kind !== 'joined') return notice.text;
  return JSON.stringify({ ...notice.facts, ...(notice.id === '' ? {} : { id: notice.id }), ...about });
}

/** The gateway's end of a client, as its channel uses it. */
export interface Client {
  /** How it is connected: the name in the counts. */
  readonly transport: string;
  /** Takes messages that belong together. False: taken, but the client is behind; `ClientEvents.drain` tells when it has caught up. */
  deliver(batch: readonly Message[], origin: MessageOrigin): boolean;
  notice(notice: Notice): void;
  /** A message of the client came by another way than its connection: it is not idle. */
  spoke(): void;
  /** Bytes that the client has not taken. */
  readonly bufferedAmount: number;
  /**
   * Shows that the connection lives, and finds out whether it does.
   * @param due milliseconds until the next one, where the client is told
   */
  ping(due?: number): void;
  /** Ends the stream behind what was delivered. */
  close(ending: Ending): void;
  /** Drops the connection. */
  terminate(): void;
  /** Stops taking the client's messages. False where that is not possible. */
  pause(): boolean;
  resume(): void;
}

/** What a client's connection tells its channel. */
export interface ClientEvents {
  /** A message from the client. */
  message(data: Buffer, binary: boolean): void;
  /** The client has taken everything that it was given. */
  drain(): void;
  /** Its connection has a reason to end: the stream is to be closed for this client, in good order. */
  close(ending: Ending): void;
  /** The peer does not answer. */
  vanished(): void;
  /** The connection is over. */
  left(): void;
}

/** What was made ready for a client that is still to arrive. Exactly one of both is called. */
export interface Reservation {
  /** It is there. Undefined: what was made ready for it is gone. */
  join(client: Client): ClientEvents | undefined;
  /** It does not come. */
  cancel(): void;
}

/** Of a HEAD request. */
export const NO_CLIENT: Reservation = { join: () => undefined, cancel: () => undefined };

/** What was started for a client did not wait for it. */
export const GONE: Ending = { code: CLOSE.tryAgainLater, reason: 'please reconnect' };

/** What the clients of one stream share. */
export interface ClientParts {
  readonly log: Log;
  readonly counts: StreamCounts;
  readonly keepAlive: KeepAlive;
  /** Largest message of a client, bytes. */
  readonly maxMessage: number;
  /** Compresses what WebSockets get; undefined: nothing is. */
  readonly deflating?: Deflating | undefined;
  /** Whether the stream's messages are binary. */
  readonly binary: boolean;
  /** Their media type, where the framing says that they are pictures. */
  readonly picture?: string | undefined;
  /** Why no message of a client is taken; undefined: they are. */
  readonly readOnly: string | undefined;
  /** What stderr says goes only to clients that get events. */
  readonly stderrAsEvents: boolean;
  /** Whether there may be messages of the other type, too. */
  readonly mixed: boolean;
}

/** The beginning of a line, as a client is told it. */
export function partialNotice(text: Buffer, origin: MessageOrigin): Notice {
  return { kind: origin === 'stdout' ? 'partial' : 'partial-stderr', text: text.toString() };
}
