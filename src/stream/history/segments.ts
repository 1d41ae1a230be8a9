/**
 * The files of one history: the one that the configuration names, which says what it is, and beside it the segments, each named by the number
 * of its first message. Only the last one is written to, and what is too old is trimmed by removing the first: nothing is ever written twice.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { encodeHeader, HEADER_BYTES, parseHeader, type SegmentHeader } from './records.ts';

/** Bytes of a segment: an eighth of what may be kept, within these. */
const SMALLEST = 32 * 1024;
const LARGEST = 2 << 20;

/** For reading. What has taken a segment's place must not hang: opening a named pipe waits for a writer. */
export const TO_READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Nobody but the gateway's user. */
export const FILE_MODE = 0o600;

export interface Segment extends SegmentHeader {
  readonly path: string;
  /** What is written and whole, bytes. */
  size: number;
}

/** What has the name of a segment and cannot be read as one. */
export interface DamagedSegment {
  readonly name: string;
  /** The number in its name. */
  readonly first: number;
}

export function segmentBytes(bytes: number): number {
  return Math.min(LARGEST, Math.max(SMALLEST, Math.ceil(bytes / 8)));
}

/** What there is of a history on the disk, the oldest first. */
export class Segments {
  readonly list: Segment[] = [];
  private readonly folder: string;
  private readonly name: string;

  /** @param path absolute, without links */
  constructor(readonly path: string) {
    this.folder = dirname(path);
    this.name = basename(path);
  }

  get last(): Segment | undefined {
    return this.list.at(-1);
  }

  /** Bytes on the disk. */
  get bytes(): number {
    return this.list.reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * Finds them, by their names and headers.
   * @returns those whose headers are damaged, and what is no file: they are left as they are
   */
  async find(): Promise<readonly DamagedSegment[]> {
    const damaged: DamagedSegment[] = [];
    const names = (await readdir(this.folder)).sort();
    const numbered = names.flatMap((name) => {
      const first = this.firstOf(name);
      return first === undefined ? [] : [{ name, first }];
    });
    for (const [at, segment] of numbered.entries())
      if (!(await this.add(segment, at === numbered.length - 1))) damaged.push(segment);
    return damaged;
  }

  /** @returns false for what is none */
  private async add({ name, first }: DamagedSegment, isLast: boolean): Promise<boolean> {
    const path = join(this.folder, name);
    const stat = await lstat(path);
    if (!stat.isFile()) return false;
    const handle = await open(path, TO_READ);
    try {
      const { size } = await handle.stat();
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
      const header = parseHeader(buffer.subarray(0, bytesRead));
      if (header !== undefined && header.first === first) this.list.push({ ...header, path, size });
      // It was just being begun when the power went.
      else if (isLast && bytesRead < HEADER_BYTES) await rm(path, { force: true });
      else return false;
      return true;
    } finally {
      await handle.close();
    }
  }

  /** Begins another one. Rejects with what the system says; then there is none. */
  async begin(header: SegmentHeader, sync: boolean): Promise<FileHandle> {
    const path = join(this.folder, `${this.name}.${String(header.first).padStart(15, '0')}`);
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
    const handle = await open(path, flags, FILE_MODE);
    try {
      await handle.write(encodeHeader(header), 0, HEADER_BYTES, 0);
      if (sync) {
        await handle.datasync();
        await this.syncFolder();
      }
    } catch (error) {
      await handle.close().catch(() => undefined);
      await rm(path, { force: true }).catch(() => undefined);
      throw error;
    }
    this.list.push({ ...header, path, size: HEADER_BYTES });
    return handle;
  }

  /** Removes the oldest. */
  async removeFirst(): Promise<void> {
    const [first] = this.list;
    if (first === undefined) return;
    this.list.shift();
    await rm(first.path, { force: true });
  }

  /** Removes the one before the last. */
  async removeBeforeLast(): Promise<void> {
    const [gone] = this.list.splice(-2, 1);
    if (gone !== undefined) await rm(gone.path, { force: true });
  }

  /** Where the message behind this number is, if it is anywhere: its place in `list`. */
  placeAfter(sequence: number): number {
    const later = this.list.findIndex(({ first }) => first > sequence + 1);
    return Math.max(0, (later === -1 ? this.list.length : later) - 1);
  }

  /** A name in a folder is on the disk only when the folder is. */
  private async syncFolder(): Promise<void> {
    const folder = await open(this.folder, constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  private firstOf(name: string): number | undefined {
    const digits = name.startsWith(`${this.name}.`) ? name.slice(this.name.length + 1) : '';
    return /^\d{15}$/.test(digits) ? Number(digits) : undefined;
  }
}
