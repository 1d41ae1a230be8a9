/** What the files of a history say: where its numbers go on, and what its newest messages are. A torn end is cut off. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type EpochStart, newEpoch } from './epochs.ts';
import { HEADER_BYTES, isMessage, KIND, RESERVE, type StoredRecord } from './records.ts';
import { scanRecords } from './scan.ts';
import { type Segment, type Segments, TO_READ } from './segments.ts';

/** Bytes that are read at once at the start: clients wait for it. */
const AT_ONCE = 1 << 20;

export interface FoundHistory {
  /** The oldest first; none of a new one. */
  readonly epochs: readonly EpochStart[];
  /** The number to go on behind: of the newest message or, where the gateway did not end in good order, the last that may have been used. */
  readonly sequence: number;
  /** How many numbers until there no message has. */
  readonly skipped: number;
  /** The last segment, to go on in; undefined where there is none. */
  readonly handle: FileHandle | undefined;
  /** The gateway ended in good order. */
  readonly closed: boolean;
  /** The last segment has no message. */
  readonly empty: boolean;
  /** What was found that should not be: sentences for the log. */
  readonly repairs: readonly string[];
}

/**
 * @param segments is filled with what there is
 * @param load is given the messages at the end, the oldest first: the newest one is among them
 */
export async function findHistory(segments: Segments, load: (record: StoredRecord) => void): Promise<FoundHistory> {
  const damaged = await segments.find();
  const repairs = damaged.map(({ name }) => `${name} is not a segment, or its head is damaged: its messages are lost`);
  const { last, list } = segments;
  // Nobody knows which numbers are in what comes behind the last one that can be read.
  const lost = Math.max(0, ...damaged.map(({ first }) => first));
  if (last === undefined) {
    const sequence = lost === 0 ? 0 : lost + RESERVE;
    return { epochs: [], sequence, skipped: sequence, handle: undefined, closed: true, empty: false, repairs };
  }
  const handle = await open(last.path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const before = list.at(-2);
    if (before !== undefined && !(await hasMessage(handle, last))) await loadFrom(before, load);
    const end = await findEnd(handle, last, load, repairs);
    const epochs: EpochStart[] = [];
    for (const { epoch, first } of list) if (epochs.at(-1)?.epoch !== epoch) epochs.push({ epoch, after: first - 1 });
    if (lost < last.first) return { epochs, ...end, handle, repairs };
    const sequence = Math.max(end.sequence, lost + RESERVE);
    epochs.push({ epoch: newEpoch(), after: sequence });
    const skipped = end.skipped + sequence - end.sequence;
    return { epochs, sequence, skipped, handle, closed: false, empty: end.empty, repairs };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function hasMessage(handle: FileHandle, segment: Segment): Promise<boolean> {
  let found = false;
  await scanRecords(handle, HEADER_BYTES, segment.size, segment.first - 1, ({ kind }) => {
    found = isMessage(kind);
    return !found;
  });
  return found;
}

async function loadFrom(segment: Segment, load: (record: StoredRecord) => void): Promise<void> {
  const handle = await open(segment.path, TO_READ);
  try {
    await scanRecords(handle, HEADER_BYTES, segment.size, segment.first - 1, (record) => {
      if (isMessage(record.kind)) load(record);
      return true;
    });
  } finally {
    await handle.close();
  }
}

async function findEnd(
  handle: FileHandle,
  segment: Segment,
  load: (record: StoredRecord) => void,
  repairs: string[],
): Promise<Pick<FoundHistory, 'sequence' | 'skipped' | 'closed' | 'empty'>> {
  let sequence = segment.first - 1;
  let { skipped } = segment;
  let closed = false;
  let empty = true;
  const { end, damaged } = await scanRecords(
    handle,
    HEADER_BYTES,
    segment.size,
    sequence,
    (record) => {
      closed = record.kind === KIND.closed;
      if (record.kind === KIND.opened) skipped += Math.max(0, record.sequence - sequence);
      // What was written twice is there once.
      if (isMessage(record.kind) && record.sequence > sequence) {
        empty = false;
        load(record);
      }
      sequence = Math.max(sequence, record.sequence);
      return true;
    },
    AT_ONCE,
  );
  if (damaged > 0)
    repairs.push(`${damaged} bytes in the middle of ${segment.path} are damaged: the messages there are lost`);
  if (end < segment.size) {
    await handle.truncate(end);
    repairs.push(`the last ${segment.size - end} bytes of ${segment.path} were half a message and are cut off`);
    segment.size = end;
  }
  const reserve = closed ? 0 : RESERVE;
  return { sequence: sequence + reserve, skipped: skipped + reserve, closed, empty };
}
