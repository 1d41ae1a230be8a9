/**
 * Some proxies hold back what does not fill their buffer, and a page cannot tell that from a stream on which nothing happens. So the
 * first pings come early, each with the time to the next: where one stays out, the page takes another way.
 */

/** Milliseconds from one to the next; then the usual pings. */
const WAITS = [1000, 4000, 16_000];

/**
 * @param ping `due`: milliseconds until the next one at the latest, which the client is told
 * @param usual milliseconds between the usual pings
 * @returns what stops them
 */
export function earlyPings(ping: (due: number) => void, usual: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  const wait = (at: number): void => {
    timer = setTimeout(() => {
      ping(Math.min(usual, WAITS[at + 1] ?? usual));
      if (at + 1 < WAITS.length) wait(at + 1);
    }, WAITS[at]);
  };
  wait(0);
  return () => clearTimeout(timer);
}
