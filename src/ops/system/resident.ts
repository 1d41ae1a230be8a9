/** The memory of this process that is in RAM. */

/** Bytes; NaN without /proc, where Node throws. */
export function residentBytes(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return Number.NaN;
  }
}
