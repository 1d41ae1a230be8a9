/** A wait that ends: by what it waits for, by a time, or by a signal. */
import { Deferred } from '../../ownership/deferred.ts';

export interface Limit {
  /** Milliseconds. */
  readonly time: number;
  /** What it is when the time is over. */
  readonly late: () => Error;
  readonly signal: AbortSignal;
}

/** @param begin starts the wait, and settles it. After the end it is not asked any more. */
export async function within<T>(
  limit: Limit,
  begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  const { signal } = limit;
  signal.throwIfAborted();
  const waiting = new Deferred<T>();
  const timer = setTimeout(() => waiting.reject(limit.late()), limit.time);
  const aborted = (): void => waiting.reject(signal.reason);
  signal.addEventListener('abort', aborted, { once: true });
  try {
    begin(waiting.resolve, waiting.reject);
    return await waiting.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', aborted);
  }
}
