/** The channels of one stream: one for each client (`private-channels.ts`), or one for all that get the same (`shared-channels.ts`). */
import type { Call } from '../../http/handler.ts';
import type { StreamFacts } from '../../ops/status.ts';
import type { Reservation } from '../clients/client.ts';
import type { Transport } from '../clients/transport.ts';
import type { History } from '../history/history.ts';
import type { Ending } from '../message.ts';
import type { MessageAnswer, SendResult } from '../sources/source.ts';
import type { SharedChannel } from './shared.ts';

/** A client that sends by POST. */
export interface Sender {
  /** A message is on its way: the connection of this client, where it has one, is not idle. */
  spoke(): void;
  /** As `SharedChannel.send`. */
  send(message: Buffer, type: string | undefined): SendResult | Promise<MessageAnswer>;
}

export interface Channels {
  /**
   * Makes a channel and its source ready for a client: at once where a source runs already. Throws or rejects with the `HttpError` that
   * refuses the client.
   * @param after the id of the last message that the client has; undefined for a client that is new
   */
  reserve(call: Call, transport: Transport, after: string | undefined): Reservation | Promise<Reservation>;
  /** The channel of this call, which may have no source yet; only where clients share one. */
  shared(call: Call): SharedChannel;
  /**
   * What is kept of the stream of this call; undefined where nobody has opened it yet. Makes no channel but the one that all share; only where
   * clients share one.
   */
  past(call: Call): History | undefined;
  /** The sender of this POST; throws or rejects with an `HttpError` for one that cannot send. */
  sender(call: Call): Sender | Promise<Sender>;
  /** Opens what is kept on the disk, where something is. Rejects with a `RouteError`. */
  prepare?(): Promise<void>;
  /** The stream serves from now on. */
  begin?(): void;
  /** `start = "boot"`: starts what runs without clients. */
  boot(): void;
  /** What the operator sees of them. */
  status(): Omit<StreamFacts, 'source' | 'share'>;
  /** Ends the connection of the client that `status` has under this name; false where there is none. */
  endClient(name: string, ending: Ending): boolean;
  /** Ends the stream of every client, and of those that still join. */
  finish(ending: Ending): void;
  /** Ends what is left of the sources, where their own release does not. */
  close(): Promise<void>;
}
