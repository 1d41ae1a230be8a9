/** What a polled stream asks: a program or a server, however it is reached. */
import type { HeaderList } from '../../../engine/engine.ts';

export interface PollRequest {
  readonly method: 'GET' | 'POST';
  /** The whole query, without "?"; "" for none. */
  readonly query: string;
  /** Names in lower case. */
  readonly headers: HeaderList;
  /** Of a POST. */
  readonly body: Buffer | undefined;
  /** Bytes: a larger answer is a failure. */
  readonly maxBytes: number;
  /** Nobody waits any more, for the signal's reason. */
  readonly signal: AbortSignal;
}

export interface PollAnswer {
  readonly status: number;
  /** Names in lower case, values with one character per byte. */
  readonly headers: HeaderList;
  readonly body: Buffer;
}

export interface PollTarget {
  /**
   * Asks once. Rejects with a `PollFailure` when there is no answer, and at once with the signal's reason when it is aborted: what was
   * started for it is ended by itself then.
   */
  ask(request: PollRequest): Promise<PollAnswer>;
  /** Nothing is asked any more. */
  close(): void;
}

/** There is no answer. The message goes to viewers: what happened in a few words that give nothing away. */
export class PollFailure extends Error {
  /** For the log. */
  readonly detail: string | undefined;
  /** What a viewer's own request is answered with. */
  readonly status: number;
  /** Of what came instead of an answer, such as Retry-After. */
  readonly headers: HeaderList;

  constructor(
    message: string,
    options: { readonly detail?: string; readonly status?: number; readonly headers?: HeaderList } = {},
  ) {
    super(message);
    this.name = 'PollFailure';
    this.detail = options.detail;
    this.status = options.status ?? 502;
    this.headers = options.headers ?? [];
  }
}

/** @param size undefined where nobody has counted to the end */
export function tooLarge(size: number | undefined, maxBytes: number): PollFailure {
  const measured =
    size === undefined ? `more than max_message, ${maxBytes} bytes` : `${size} bytes, max_message is ${maxBytes}`;
  return new PollFailure(`its response is too large: ${measured}`);
}
