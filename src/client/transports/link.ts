/** One connection of a stream, whatever its transport. When it is over, the session may make another. */

import type { Dialer } from '../dialing/dial.ts';
import type { ConnectionError } from '../errors.ts';
import type { Facts, Plan } from '../options.ts';

/** A close: the peer, or we, ended it in good order. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

export interface Link {
  /**
   * Hands a message over. A promise: take a break until it is settled. It rejects where the message was refused.
   * @param isText of bytes: whether they are a text in UTF-8
   */
  send(data: string | Uint8Array, isText?: boolean): Promise<void> | undefined;
  /** Stops reading: the peer is held back by the network. A few messages that have been read already may still come. */
  pause(): void;
  resume(): void;
  /** Ends it in good order, behind what was sent. `ended` tells when that is done, or has taken too long. */
  close(ending: Ending): void;
  /** Drops it. */
  terminate(): void;
}

export interface LinkEvents {
  /** What has become known. */
  facts(facts: Partial<Facts>): void;
  /** The position of the next messages, without a message. */
  position(id: string): void;
  /**
   * @param id "" where it has none
   * @param isText of bytes: whether they are a text in UTF-8
   */
  message(data: string | Uint8Array, id: string, isText?: boolean): void;
  missed(count: number | undefined): void;
  notice(text: string): void;
  stderr(text: string): void;
  /** It is over. Called once, after `Opener` has resolved. `held`: this transport seems to be held back on its way. */
  ended(how: Ending | ConnectionError, held?: boolean): void;
}

export interface LinkParts {
  readonly plan: Plan;
  readonly dialer: Dialer;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  /** The id of the last message that has come; undefined: no ids are asked for. */
  readonly after: string | undefined;
}

/** Rejects with a `ConnectionError` or with the signal's reason. */
export type Opener = (parts: LinkParts, events: LinkEvents) => Promise<Link>;

/** The URL with one more parameter. */
export function withParameter(url: URL, name: string, value: string): URL {
  const changed = new URL(url);
  // Not searchParams: that would rewrite what the user has written.
  changed.search += `${changed.search === '' ? '?' : '&'}${name}=${encodeURIComponent(value)}`;
  return changed;
}

/** Tells what an `event:` of the gateway says (docs/clients.md). @returns the milliseconds to the next ping, of a ping */
export function tellEvent(events: LinkEvents, kind: string, text: string): number | undefined {
  if (kind === 'joined') {
    const { id = '', ...facts } = JSON.parse(text) as Partial<Facts> & { readonly id?: string };
    events.facts(facts);
    if (id !== '') events.position(id);
  } else if (kind === 'missed') events.missed(text === '' ? undefined : Number(text));
  else if (kind === 'notice') events.notice(text);
  else if (kind === 'stderr') events.stderr(text);
  else if (kind === 'ping') return Number(text);
  return undefined;
}
