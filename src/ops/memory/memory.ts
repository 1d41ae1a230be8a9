/**
 * What the gateway gives back to the system: pages of the executable that only the start needed, and free memory of the C library's
 * allocator. `docs/memory.md` has what each brings.
 */

import { closeSync, openSync, readFileSync } from 'node:fs';

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

/** The little of the FFI add-on that is used here (`ops/addons/addon.ts` loads it). */
interface ForeignFunctions {
  load(library: string): { func(prototype: string): unknown };
}

function libc(addon: unknown): ReturnType<ForeignFunctions['load']> {
  return (addon as ForeignFunctions).load('libc.so.6');
}

/** The same on x64, arm64 and arm. */
const MADV_DONTNEED = 4;
const POSIX_FADV_DONTNEED = 4;
const M_ARENA_MAX = -8;
const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
/** Bytes from which on a block lies alone, and is given back with its end. glibc's own border moves up to 32 MiB with the first large block. */
const ALONE = 256 << 10;
/** Free bytes at the end of the heap from which on they are given back. The same. */
const FREE_END = 1 << 20;

/**
 * Gives back the pages of the executable: out of this process, and out of the page cache as far as nobody else uses them. Answers with
 * the bytes of the mappings. Throws where the C library or /proc is not as expected.
 */
export function dropExecutable(addon: unknown): number {
  const library = libc(addon);
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

/**
 * A function that gives the allocator's free pages back, and answers whether there were any. From now on there is one arena for all
 * threads, since each would keep free memory of its own, and large blocks lie outside of it, since each leaves a hole that smaller ones
 * fill and keep. Throws where the C library is not glibc.
 */
export function allocatorTrimmer(addon: unknown): () => boolean {
  const library = libc(addon);
  const mallopt = library.func('int mallopt(int parameter, int value)') as (parameter: number, value: number) => number;
  const trim = library.func('int malloc_trim(size_t pad)') as (pad: number) => number;
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, ALONE);
  mallopt(M_TRIM_THRESHOLD, FREE_END);
  return () => trim(0) === 1;
}
