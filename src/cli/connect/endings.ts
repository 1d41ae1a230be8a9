/** How a `connect` ends, as an exit status and in words; and what is said on the way. */
import { ConnectionError } from '../../client/errors.ts';
import type { StreamEvent } from '../../client/options.ts';
import type { Session } from '../../client/session.ts';
import { visible } from '../../ops/visible.ts';
import { FramingError } from '../../stream/framing.ts';
import type { Outcome } from './relay.ts';

/** How it ended, as an exit status; after sysexits(3) where it has one. */
export const CONNECT_EXIT = {
  /** The stream was closed with 1000, `--count` was reached, or nobody reads stdout any more. */
  ok: 0,
  /** The server has closed the stream with another code. */
  closed: 1,
  /** What was read from stdin does not fit the framing, or the server has refused a message. */
  data: 65,
  /** There is no such host. */
  noHost: 68,
  /** The server, or the proxy, cannot be reached. */
  unavailable: 69,
  /** The connection was lost. */
  lost: 74,
  /** What the server said is no stream. */
  protocol: 76,
  /** The server is not trusted, or does not trust us: 401, 403, 407. */
  notPermitted: 77,
  /** `--timeout` has passed. */
  timeout: 124,
} as const;

/** What ends it from outside: a signal, or `--timeout`. */
export interface Stop {
  readonly signal: AbortSignal;
  /** The exit status; undefined as long as nothing has. */
  readonly status: () => number | undefined;
}

/** Closes the session in good order. */
export function closeOn(signal: AbortSignal, session: Session): void {
  const close = (): void => session.close({ code: 1000, reason: '' });
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, { once: true });
}

/** The exit status, and on stderr why. */
export function report(outcome: Outcome): number {
  const { status, words } = verdict(outcome);
  if (words !== undefined) process.stderr.write(`runnel connect: ${visible(words)}\n`);
  return status;
}

function verdict(outcome: Outcome): { readonly status: number; readonly words?: string } {
  if (outcome === 'counted' || outcome === 'unread') return { status: CONNECT_EXIT.ok };
  if (outcome instanceof FramingError) return { status: CONNECT_EXIT.data, words: outcome.message };
  if (outcome instanceof ConnectionError) return { status: statusOf(outcome), words: outcome.message };
  if (outcome.code === 1000) return { status: CONNECT_EXIT.ok };
  return {
    status: CONNECT_EXIT.closed,
    words: `the server closed the stream: ${outcome.code} ${outcome.reason}`.trim(),
  };
}

function statusOf({ failure, status }: ConnectionError): number {
  if (failure === 'untrusted' || status === 401 || status === 403 || status === 407) return CONNECT_EXIT.notPermitted;
  switch (failure) {
    case 'unresolved':
      return CONNECT_EXIT.noHost;
    case 'refused':
    case 'unreachable':
    case 'timeout':
    case 'proxy':
      return CONNECT_EXIT.unavailable;
    case 'rejected':
      return status !== undefined && (status >= 500 || status === 429)
        ? CONNECT_EXIT.unavailable
        : CONNECT_EXIT.protocol;
    case 'protocol':
      return CONNECT_EXIT.protocol;
    case 'unsent':
      return CONNECT_EXIT.data;
    default:
      return CONNECT_EXIT.lost;
  }
}

/** Tells people on stderr, one line each. */
export function speaker(quiet: boolean): (words: string) => void {
  return (words) => {
    if (!quiet) process.stderr.write(`runnel connect: ${visible(words)}\n`);
  };
}

/** What goes on with a stream, in words. */
export function teller(say: (words: string) => void): (event: StreamEvent) => void {
  let wasLost = false;
  return (event) => {
    if (event.type === 'waiting') {
      wasLost = true;
      say(`${event.reason}; again in ${(event.delay / 1000).toFixed(1)} s`);
    } else if (event.type === 'open') {
      if (wasLost) say(`connected again by ${event.facts.transport}`);
      wasLost = false;
    } else if (event.type === 'missed') {
      say(
        event.count === undefined
          ? 'messages are missing; their number is not known'
          : `${event.count} messages are missing`,
      );
    } else say(event.text);
  };
}
