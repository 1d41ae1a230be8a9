/**
 * The files that ship with runnel: pages, and in the single executable also the native add-ons. They lie beside the
 * compiled code, or behind the ELF of the executable (`scripts/package.mjs` writes that tail; `docs/binary.md` draws it).
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where an asset lies inside the executable. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}

export interface Assets {
  /** True in the single executable. */
  readonly single: boolean;
  /** The bytes of an asset by its path below `src`, such as "browser/run.html". Throws when it is not there. */
  read(name: string): Buffer;
  /** Where an asset lies in the executable; undefined outside of it, or when it is not there. */
  span(name: string): Span | undefined;
}

const FOOTER_BYTES = 16;
const MAGIC = 'RNLTAIL1';

/** Looks behind the running executable for the tail; without one the assets are files. */
export function openAssets(executable = process.execPath): Assets {
  const index = readTail(executable);
  if (index === undefined) {
    const folder = dirname(dirname(fileURLToPath(import.meta.url)));
    return { single: false, read: (name) => readFileSync(join(folder, name)), span: () => undefined };
  }
  return {
    single: true,
    read(name) {
      const span = index.get(name);
      if (span === undefined) throw new Error(`${name} is missing from ${executable}`);
      return readAt(executable, span);
    },
    span: (name) => index.get(name),
  };
}

/** The tail: files, then a JSON index `{name: [offset, length]}`, then u32 index length, four zero bytes, "RNLTAIL1". */
function readTail(executable: string): ReadonlyMap<string, Span> | undefined {
  const descriptor = openSync(executable, 'r');
  try {
    const end = fstatSync(descriptor).size;
    const footer = Buffer.alloc(FOOTER_BYTES);
    readSync(descriptor, footer, 0, FOOTER_BYTES, end - FOOTER_BYTES);
    if (footer.toString('latin1', 8) !== MAGIC) return undefined;
    const length = footer.readUInt32LE(0);
    const json = Buffer.alloc(length);
    readSync(descriptor, json, 0, length, end - FOOTER_BYTES - length);
    const entries = JSON.parse(json.toString()) as { [name: string]: [number, number] };
    return new Map(Object.entries(entries).map(([name, [offset, size]]) => [name, { offset, length: size }]));
  } finally {
    closeSync(descriptor);
  }
}

function readAt(executable: string, span: Span): Buffer {
  const descriptor = openSync(executable, 'r');
  try {
    const bytes = Buffer.alloc(span.length);
    readSync(descriptor, bytes, 0, span.length, span.offset);
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}
