/**
 * What the gateway does about its own memory. `docs/memory.md` has what each costs and brings.
 *
 * After the start it gives back the pages of the executable that only the start needed; where memory is small it also does
 * without the optimising compiler.
 */

import { closeSync, openSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { Log } from './log.ts';

/** At or under this limit the optimising compiler costs more than it brings: its code alone is 6 to 8 MiB of the executable. */
export const SMALL_MEMORY = 48 << 20;

/** Switches the optimising compiler off where `limit` (bytes) is small. True when it did. To be called before much has run. */
export function avoidCompiler(limit: number | undefined): boolean {
  if (limit === undefined || limit > SMALL_MEMORY) return false;
  setFlagsFromString('--no-opt');
  setFlagsFromString('--no-maglev');
  return true;
}

export interface Mapping {
  readonly start: bigint;
  readonly length: number;
}

/** Smaller ones are not worth a call. Bytes. */
const WORTH_IT = 1 << 20;

/**
 * The large read-only mappings of the executable in the text of /proc/self/smaps, without those of which a page was ever written (the
 * loader writes some before it closes them): these can be dropped, and come back from the file when they are touched.
 */
export function droppable(smaps: string, executable: string): Mapping[] {
  const found: Mapping[] = [];
  let candidate: Mapping | undefined;
  for (const line of smaps.split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ *(.*)$/.exec(line);
    if (head !== null) {
      const [, from = '', to = '', modes = '', path] = head;
      const start = BigInt(`0x${from}`);
      const length = Number(BigInt(`0x${to}`) - start);
      const fits = /^r-.p$/.test(modes) && path === executable && length >= WORTH_IT;
      candidate = fits ? { start, length } : undefined;
      continue;
    }
    if (candidate === undefined || !line.startsWith('Anonymous:')) continue;
    if (/^Anonymous: +0 kB$/.test(line)) found.push(candidate);
    candidate = undefined;
  }
  return found;
}

/** The little of the FFI add-on that is used here (`engine/addon.ts` loads it). */
interface ForeignFunctions {
  load(library: string): { func(prototype: string): unknown };
}

/** The same on x64, arm64 and arm. */
const MADV_DONTNEED = 4;
const POSIX_FADV_DONTNEED = 4;

/**
 * Gives back the pages of the executable: out of this process, and out of the page cache as far as nobody else uses them. Answers with
 * the bytes of the mappings. Throws where the C library or /proc is not as expected.
 */
export function dropExecutable(addon: unknown): number {
  const library = (addon as ForeignFunctions).load('libc.so.6');
  const madvise = library.func('int madvise(uintptr_t address, size_t length, int advice)') as (
    address: bigint,
    length: number,
    advice: number,
  ) => number;
  const fadvise = library.func('int posix_fadvise(int fd, long offset, long length, int advice)') as (
    fd: number,
    offset: number,
    length: number,
    advice: number,
  ) => number;
  let dropped = 0;
  for (const { start, length } of droppable(readFileSync('/proc/self/smaps', 'utf8'), process.execPath))
    if (madvise(start, length, MADV_DONTNEED) === 0) dropped += length;
  const descriptor = openSync('/proc/self/exe', 'r');
  try {
    fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  } finally {
    closeSync(descriptor);
  }
  return dropped;
}

/** The same, where it can be done; what became of it goes to the log. */
export function giveBack(addon: unknown, log: Log): void {
  try {
    log.debug('gave back what only the start needed', { bytes: dropExecutable(addon) });
  } catch (error) {
    log.debug(`could not give back memory: ${error instanceof Error ? error.message : String(error)}`);
  }
}
