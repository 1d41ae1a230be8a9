/** Errors that become answers. */
import { FileRefusal } from '../files/segments.ts';

const RETRY_SOON: readonly (readonly [string, string])[] = [['retry-after', '5']];

/** An answer that is an error: what the client gets (status, id) and what the log gets (the cause). */
export class HttpError extends Error {
  readonly status: number;
  /** Further header fields of the answer, such as Retry-After; names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  /** A sentence for a person who sees the page of this error, where that of its status says too little. */
  readonly told: string | undefined;
  constructor(
    status: number,
    message: string,
    options?: ErrorOptions & { headers?: readonly (readonly [string, string])[]; told?: string },
  ) {
    super(message, options);
    this.name = 'HttpError';
    this.status = status;
    this.headers = options?.headers ?? [];
    this.told = options?.told;
  }
}

/**
 * What a client is answered whose path names no file that is served: the refusal's own status. Other errors as they are.
 */
export function asFileError(error: unknown): unknown {
  return error instanceof FileRefusal ? new HttpError(error.status, error.message, { cause: error }) : error;
}

/** There is no room for it within a bound of the configuration: nothing is broken, and the client may come again. */
export class Busy extends HttpError {
  /** Whoever has thrown it has counted it. */
  readonly counted: boolean;
  constructor(
    message: string,
    { cause, counted = false }: { readonly cause?: unknown; readonly counted?: boolean } = {},
  ) {
    super(503, message, { cause, headers: RETRY_SOON });
    this.name = 'Busy';
    this.counted = counted;
  }
}

/** A route that takes only what it has something for has nothing for this request: the next route that fits serves it. */
export class NothingHere extends HttpError {
  constructor(cause: HttpError) {
    super(cause.status, cause.message, { cause });
    this.name = 'NothingHere';
  }
}

/**
 * The handler serves nobody new, because the gateway stops or the configuration has changed while the request was on its way to it. Where
 * another one has taken its place, that serves the request.
 */
export class Superseded extends HttpError {
  constructor(reason: string) {
    super(503, reason, { headers: [['retry-after', '5']] });
    this.name = 'Superseded';
  }
}

/** What a route needs cannot be had, as the operator is told it when the gateway starts or reloads: a sentence. */
export class RouteError extends Error {}

/**
 * A reply's body that was cut after its head had gone out, as an engine is told it. The request's log line has the reason already,
 * so whoever hears of it from the engine leaves it at that.
 */
export class CutReply extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
    this.name = 'CutReply';
  }
}
