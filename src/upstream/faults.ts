/** Why there is no answer from an upstream. */
import { systemCode } from '../ops/system-errors.ts';
import { ConnectError, type ConnectFailure } from './connecting.ts';

/**
 * What went wrong, for counts: no connection could be made, or it was closed too early ("closed"), what came over it cannot be read
 * ("invalid"), nothing came in time ("timeout"), or too many ask at once ("busy").
 */
export type UpstreamFailure = ConnectFailure | 'closed' | 'invalid' | 'busy';

/** The message says what happened in a few words that give nothing away: it may go to clients. */
export class UpstreamError extends Error {
  /** For the log. */
  readonly detail: string | undefined;
  readonly failure: UpstreamFailure;

  constructor(
    message: string,
    options: { readonly detail?: string; readonly cause?: unknown; readonly failure?: UpstreamFailure } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'UpstreamError';
    this.detail = options.detail;
    this.failure = options.failure ?? 'invalid';
  }
}

/** A kept connection was closed in the moment in which it was used again: nothing of an answer has come (RFC 9110 section 9.2.2). */
export class StaleConnection extends UpstreamError {}

/** As many connections as are allowed are in use, and too many wait for one, or one has waited for too long. */
export class UpstreamBusy extends UpstreamError {
  constructor(
    readonly why: 'full' | 'timeout',
    message: string,
  ) {
    super(message, { failure: 'busy' });
  }
}

export function notHttp(detail: string): UpstreamError {
  return new UpstreamError('what it answers is not HTTP', { detail });
}

/** The connection ended before all was there. @param detail what is missing */
export function closedEarly(detail: string): UpstreamError {
  return new UpstreamError('it closed the connection too early', { detail, failure: 'closed' });
}

/** @param detail what was waited for, and how long */
export function silent(detail: string): UpstreamError {
  return new UpstreamError('it did not answer in time', { detail, failure: 'timeout' });
}

const WORDS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ECONNRESET', 'it closed the connection too early'],
  ['EPIPE', 'it closed the connection too early'],
  ['EHOSTUNREACH', 'it cannot be reached'],
  ['ENETUNREACH', 'it cannot be reached'],
  ['ETIMEDOUT', 'it cannot be reached'],
  ['ENOTFOUND', 'its host name is not known'],
  ['EAI_AGAIN', 'its host name cannot be resolved'],
]);

/** What the system says of a connection. */
export function connectionFault(error: Error): UpstreamError {
  const code = systemCode(error) ?? '';
  const made = error instanceof ConnectError;
  const untrusted = made && error.failure === 'certificate';
  const words = untrusted ? 'its certificate is not accepted' : (WORDS.get(code) ?? 'the connection failed');
  const said = made && error.cause instanceof Error ? error.cause.message : error.message;
  const failure = made ? error.failure : code === 'ETIMEDOUT' ? 'timeout' : 'closed';
  return new UpstreamError(words, { detail: `${code} ${said}`.trim(), cause: error, failure });
}
