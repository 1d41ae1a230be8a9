/** A client of a shared stream, and how far behind it is. */
import type { Client } from './ends.ts';
import type { Message } from './message.ts';

/** What a tagged program is told of a client that has come. */
export interface ClientFacts {
  readonly address: string;
  readonly query: string;
  readonly user: string | undefined;
}

export class Member {
  /** It is over its bound, and gets nothing until it has caught up. */
  skipping = false;
  skipped = 0;
  /** Bytes that it may be behind beyond the bound: what it got of the past when it joined. */
  allowance = 0;
  /** `slow_client = "latest"`: what it gets then. */
  latest: Message | undefined;
  /** It is being closed. */
  closing: NodeJS.Timeout | undefined;

  constructor(
    /** Its name, to the program too. */
    readonly id: string,
    readonly client: Client,
    readonly facts: ClientFacts,
  ) {}
}
