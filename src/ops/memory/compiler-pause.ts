/**
 * Where memory is small, the optimising compiler's own code pushes the gateway's out of it, page by page, and the kernel has to read both
 * from the disk again and again: major faults. Then the compiler stays off for a while. What it has compiled stays fast.
 */
import { statFields } from '../system/proc.ts';

/** Major faults in a second that are more than a change of load brings. */
const MANY = 100;
/** Seconds with as many, one after the other, until the compiler pauses. */
const PATIENCE = 1;
/** Seconds without, until it may go on. */
const CALM = 60;

export class CompilerPause {
  private thrashing = 0;
  private calm = 0;
  private last: number | undefined;
  paused = false;

  /**
   * @param faults major faults of the process up to now.
   * @param seconds since it was last called.
   * @returns whether that changed something; `paused` says to what.
   */
  look(faults: number, seconds: number): boolean {
    const many = this.last !== undefined && faults - this.last > MANY * seconds;
    this.last = faults;
    this.thrashing = many ? this.thrashing + seconds : 0;
    this.calm = many ? 0 : this.calm + seconds;
    const paused = this.paused ? this.calm < CALM : this.thrashing >= PATIENCE;
    if (paused === this.paused) return false;
    this.paused = paused;
    return true;
  }
}

/** Major faults in the text of /proc/self/stat. */
export function majorFaults(stat: string): number {
  return Number(statFields(stat)[9]);
}
