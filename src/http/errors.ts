/** An answer that is an error: what the client gets (status, id) and what the log gets (the cause). */
export class HttpError extends Error {
  readonly status: number;
  /** Further header fields of the answer, such as Retry-After; names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  constructor(
    status: number,
    message: string,
    options?: ErrorOptions & { headers?: readonly (readonly [string, string])[] },
  ) {
    super(message, options);
    this.name = 'HttpError';
    this.status = status;
    this.headers = options?.headers ?? [];
  }
}
