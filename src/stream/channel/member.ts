/** A client of a shared stream, and how far behind it is. */
import type { Client, MessageOrigin } from '../clients/client.ts';
import type { Position } from '../history/chain.ts';
import type { EarlierReader } from '../history/history.ts';
import type { Ending, Message } from '../message.ts';
import type { ClientFacts, ClientIdentity } from '../sources/source.ts';

/** A message that is not in the chain, for a client that is behind. */
export interface UnnumberedMessage {
  /** It comes behind the stream's message with this number. */
  readonly after: number;
  readonly message: Message;
  readonly origin: MessageOrigin;
}

export class Member implements ClientIdentity {
  /** Its name, to the source too. */
  readonly id: string;
  /** Where it stands in the chain, while it does not take what it is given; undefined when it has everything. */
  position: Position | undefined;
  /** What is read for it that is in files alone, and the number of the last message that it has of that. */
  earlier: { readonly reader: EarlierReader; sequence: number; underWay: boolean } | undefined;
  /** What it gets beside the chain when it takes again. */
  unnumbered: UnnumberedMessage[] = [];
  unnumberedBytes = 0;
  /** The number of the last message before it joined: what comes up to this is its past, and not late. */
  joinedAfter = 0;
  /** It is over its bound, and gets nothing until it has caught up. */
  skipping = false;
  skipped = 0;
  /** Bytes that it may be behind beyond the bound: what it gets of the past when it joins. */
  allowance = 0;
  /** `slow_client = "latest"`: what it gets then. */
  latest: Message | undefined;
  /** It is being closed: what drops it if it does not take what is left for it. */
  closing: NodeJS.Timeout | undefined;
  /** What it is told when it has taken everything up to this number. */
  goodbye: { readonly ending: Ending; readonly after: number } | undefined;
  gone = false;

  constructor(
    /** The stream gives none twice. */
    readonly number: number,
    readonly client: Client,
    readonly facts: ClientFacts,
  ) {
    this.id = nameOf(number);
  }
}

export function nameOf(number: number): string {
  return `c${number}`;
}
