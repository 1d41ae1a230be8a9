/** Why there is no answer from an upstream. */
import { systemCode } from '../ops/system-errors.ts';
import { ConnectError } from './connecting.ts';

/** The message says what happened in a few words that give nothing away: it may go to clients. */
export class UpstreamError extends Error {
  /** For the log. */
  readonly detail: string | undefined;

  constructor(message: string, options: { readonly detail?: string; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'UpstreamError';
    this.detail = options.detail;
  }
}

/** A kept connection was closed in the moment in which it was used again: nothing of an answer has come (RFC 9110 section 9.2.2). */
export class StaleConnection extends UpstreamError {}

export function notHttp(detail: string): UpstreamError {
  return new UpstreamError('what it answers is not HTTP', { detail });
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
  const words = WORDS.get(code) ?? 'the connection failed';
  const said = error instanceof ConnectError && error.cause instanceof Error ? error.cause.message : error.message;
  return new UpstreamError(words, { detail: `${code} ${said}`.trim(), cause: error });
}
