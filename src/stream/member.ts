/** A client of a shared stream, and how far behind it is. */
import type { Client } from './ends.ts';
import type { Message } from './message.ts';

/** Who a client is. A tagged program is told of it. */
export interface ClientFacts {
  readonly address: string;
  readonly query: string;
  readonly user: { readonly name: string; readonly type: string } | undefined;
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

  /** Its name, to the program too. */
  readonly id: string;

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
