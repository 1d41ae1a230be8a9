/** Why there is no connection, or none any more. */

/** What went wrong, for programs. The message says it for people. */
export type Failure =
  /** The name of the server or of the proxy is not known. */
  | 'unresolved'
  /** Nothing listens there. */
  | 'refused'
  | 'unreachable'
  /** Connecting, the TLS handshake or the answer took too long. */
  | 'timeout'
  /** The proxy does not let us through. */
  | 'proxy'
  /** The server could not show who it is. Nothing of the stream was sent. */
  | 'untrusted'
  /** The server answered with a status instead of a stream. */
  | 'rejected'
  /** What it said is not what the standard asks for. */
  | 'protocol'
  /** The connection broke, or the peer does not answer any more: neither side has closed it. */
  | 'lost'
  /** A message cannot be sent: the stream is closed, or the server refused it. */
  | 'unsent'
  /** This program ended it. */
  | 'aborted';

export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /** The status of the answer of the server or of the proxy, where there was one. */
  readonly status: number | undefined;

  constructor(
    readonly failure: Failure,
    message: string,
    options: { readonly status?: number; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status;
  }
}

/** What was thrown, as an error of ours. */
export function connectionError(error: unknown): ConnectionError {
  if (error instanceof ConnectionError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ConnectionError('lost', message, { cause: error });
}
