/** The ids of a stream: `EPOCH-NUMBER`. The numbers go on; the epoch is another one where it is not known which numbers have been used. */
import { randomBytes } from 'node:crypto';
import type { MessageNames } from './chain.ts';

export interface EpochStart {
  readonly epoch: string;
  /** The number before its first. */
  readonly after: number;
}

export class Epochs implements MessageNames {
  private readonly starts: EpochStart[] = [];
  private epoch = '';
  private since = 0;

  /** @param starts the oldest first */
  constructor(starts: readonly EpochStart[]) {
    for (const start of starts) this.begin(start);
  }

  idOf(sequence: number): string {
    return `${this.of(sequence)}-${sequence}`;
  }

  /** The epoch of a number. */
  of(sequence: number): string {
    if (sequence > this.since) return this.epoch;
    return this.starts.findLast(({ after }) => sequence > after)?.epoch ?? this.starts[0]?.epoch ?? '';
  }

  /** The number in an id that there has been; undefined for any other. @param newest the highest number until now */
  sequenceOf(id: string, newest: number): number | undefined {
    const match = /^([0-9a-z]+)-(\d{1,15})$/.exec(id);
    if (match === null) return undefined;
    const at = this.starts.findIndex(({ epoch }) => epoch === match[1]);
    const [start, next] = [this.starts[at], this.starts[at + 1]];
    const sequence = Number(match[2]);
    if (start === undefined || sequence < start.after || sequence > (next?.after ?? newest)) return undefined;
    return sequence;
  }

  /** What comes behind this number has another epoch. */
  begin({ epoch, after }: EpochStart): void {
    this.epoch = epoch;
    this.since = after;
    this.starts.push({ epoch, after });
  }
}

/** A name that no earlier epoch has had. */
export function newEpoch(): string {
  return `${Date.now().toString(36)}${randomBytes(3).toString('hex')}`;
}
