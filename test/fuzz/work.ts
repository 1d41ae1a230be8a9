/** Finds work that grows faster than what it is done on: texts of one and of eight times a length are given to the same function. */

/** More than eight, for noise; the square of it is 64. */
const MOST = 24;
/** What is done in fewer milliseconds is not the square of 64 KiB, on no machine; and what allocates much is too uneven to be compared. */
const QUICK = 300;
const ATTEMPTS = 5;

export type Work = (text: string) => unknown;

/** How a text is made as long as is wanted: `head`, then `pump` again and again, then `tail`. */
export interface Shape {
  readonly head: string;
  readonly pump: string;
  readonly tail: string;
}

export function textOf({ head, pump, tail }: Shape, length: number): string {
  // A flat string, as those that come from a socket are.
  return Buffer.from(head + pump.repeat(Math.ceil(length / pump.length)) + tail, 'latin1').toString('latin1');
}

/** How many times as long it takes for eight times the text, where that is too much each time that it is tried; undefined where it is not. */
export function growth(work: Work, shape: Shape, length: number): number | undefined {
  const [short, long] = [textOf(shape, length / 8), textOf(shape, length)];
  if (time(work, long) < QUICK) return undefined;
  let least = Number.POSITIVE_INFINITY;
  let [quickest, slowest] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    // The least of several: everything else that the machine does only adds.
    for (let again = 0; again < 3; again++) quickest = Math.min(quickest, time(work, short));
    slowest = Math.min(slowest, time(work, long));
    least = slowest / quickest;
    if (slowest < QUICK || least <= MOST) return undefined;
  }
  return least;
}

/** Of the processor, milliseconds: others may want it, too. */
function time(work: Work, text: string): number {
  const from = process.cpuUsage();
  try {
    work(text);
  } catch {
    // A refusal is an answer.
  }
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
}
