/**
 * What `promise` comes to, or a rejection with the signal's reason as soon as nobody waits for it any more. Only for what is nobody's to
 * give back: see `Held` for the rest.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason);
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
