/** When to say that a certificate is about to expire: once at each of these. */

const DAY = 86_400_000;
/** Days before the end. */
const MILESTONES = [30, 14, 7, 3, 1, 0] as const;

/** The last milestone that has been passed; undefined while the end is far. 0: it has expired. */
export function milestone(notAfter: number, now: number): number | undefined {
  const left = (notAfter - now) / DAY;
  return MILESTONES.findLast((days) => left <= days);
}

/** Whole days left, rounded down; negative after the end. */
export function daysLeft(notAfter: number, now: number): number {
  return Math.floor((notAfter - now) / DAY);
}
