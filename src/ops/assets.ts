/**
 * The files that ship with runnel: pages, and in the single executable also the native add-ons. They lie beside the
 * compiled code, or behind the ELF of the executable (`scripts/package.mjs` writes that tail; `docs/binary.md` draws it).
 *
 * The executable is read through /proc/self/exe: that is the file which runs, also after an upgrade has put another one in
 * its place, and it costs no descriptor that would have to stay open.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Assets {
  /** True in the single executable. */
  readonly single: boolean;
  /** The version of runnel, such as "0.1.0". */
  readonly version: string;
  /** Whether there is such an asset: some are only made where there is a compiler. */
  has(name: string): boolean;
  /** The bytes of an asset by its path below `src`, such as "browser/run.html". Throws when it is not there or damaged. */
  read(name: string): Buffer;
  /**
   * Copies an asset of the single executable to an open descriptor, in small steps, checked against its digest. Answers with
   * the asset's place among all (0, 1 …). Throws an `AssetError`, or the system's error when the descriptor takes no more.
   */
  copy(name: string, descriptor: number): number;
}

/** The executable, or what lies behind it, is not as it was built. */
export class AssetError extends Error {
  constructor(detail: string, options?: ErrorOptions) {
    super(`${detail}; install the executable again`, options);
    this.name = 'AssetError';
  }
}

interface AssetLocation {
  readonly offset: number;
  readonly length: number;
  /** SHA-256 in hexadecimal. */
  readonly digest: string;
  /** Its place in the index. */
  readonly place: number;
}

interface Tail {
  readonly version: string;
  readonly entries: ReadonlyMap<string, AssetLocation>;
}

const FOOTER_BYTES = 16;
const MAGIC = 'RNLTAIL1';
const STEP_BYTES = 64 * 1024;

/** Where the assets are: behind the running executable when that has a tail, else files. Throws an `AssetError` when damaged. */
export function openAssets(executable = runningExecutable()): Assets {
  const tail = readTail(executable);
  if (tail !== undefined) return new TailAssets(executable, tail);
  // The bundle has no file of its own: `scripts/package.mjs` puts "single:" in the place of import.meta.url.
  if (!import.meta.url.startsWith('file:')) throw new AssetError(`${process.execPath} is incomplete`);
  return new FileAssets(dirname(dirname(fileURLToPath(import.meta.url))));
}

/** Without /proc (a bare chroot) the path has to do, and Node knows it only as it was typed: it is looked for as a shell does. */
function runningExecutable(): string {
  if (existsSync('/proc/self/exe')) return '/proc/self/exe';
  const { execPath } = process;
  const folders = execPath.includes('/') ? ['.'] : (process.env['PATH'] ?? '').split(':');
  return folders.map((folder) => resolve(folder, execPath)).find((path) => existsSync(path)) ?? execPath;
}

/** Assets as files: `folder` is the compiled `src`, two levels below `package.json`. */
class FileAssets implements Assets {
  readonly single = false;
  readonly version: string;

  constructor(private readonly folder: string) {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, '../../package.json'), 'utf8'));
    this.version = String(isObject(manifest) ? manifest['version'] : undefined);
  }

  has(name: string): boolean {
    return existsSync(join(this.folder, name));
  }

  read(name: string): Buffer {
    return readFileSync(join(this.folder, name));
  }

  copy(name: string): never {
    throw new AssetError(`${name} is only inside the single executable`);
  }
}

class TailAssets implements Assets {
  readonly single = true;
  readonly version: string;

  constructor(
    private readonly executable: string,
    private readonly tail: Tail,
  ) {
    this.version = tail.version;
  }

  has(name: string): boolean {
    return this.tail.entries.has(name);
  }

  read(name: string): Buffer {
    const chunks: Buffer[] = [];
    this.walk(name, (chunk) => chunks.push(Buffer.from(chunk)));
    return Buffer.concat(chunks);
  }

  copy(name: string, descriptor: number): number {
    return this.walk(name, (chunk) => {
      for (let done = 0; done < chunk.length; ) done += writeSync(descriptor, chunk, done);
    }).place;
  }

  private walk(name: string, take: (chunk: Buffer) => void): AssetLocation {
    const entry = this.tail.entries.get(name);
    if (entry === undefined) throw new AssetError(`${name} is missing from the executable`);
    const hash = createHash('sha256');
    const step = Buffer.allocUnsafe(Math.min(STEP_BYTES, entry.length));
    const descriptor = openSync(this.executable, 'r');
    try {
      for (let done = 0; done < entry.length; ) {
        const wanted = Math.min(step.length, entry.length - done);
        const count = readSync(descriptor, step, 0, wanted, entry.offset + done);
        if (count === 0) throw new AssetError(`${name} is cut short in the executable`);
        const chunk = step.subarray(0, count);
        hash.update(chunk);
        take(chunk);
        done += count;
      }
    } finally {
      closeSync(descriptor);
    }
    if (hash.digest('hex') !== entry.digest) throw new AssetError(`${name} is damaged in the executable`);
    return entry;
  }
}

/** The tail: assets, then the index as JSON, then 16 bytes: u32 length of the index, four zero bytes, "RNLTAIL1". */
function readTail(executable: string): Tail | undefined {
  const descriptor = openSync(executable, 'r');
  try {
    const end = fstatSync(descriptor).size;
    if (end < FOOTER_BYTES) return undefined;
    const footer = readExactly(descriptor, end - FOOTER_BYTES, FOOTER_BYTES);
    if (footer.toString('latin1', 8) !== MAGIC) return undefined;
    const length = footer.readUInt32LE(0);
    const start = end - FOOTER_BYTES - length;
    if (start < 0) throw new AssetError('the index of the executable does not fit into it');
    return parseIndex(readExactly(descriptor, start, length).toString(), start);
  } finally {
    closeSync(descriptor);
  }
}

function readExactly(descriptor: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const count = readSync(descriptor, bytes, done, length - done, offset + done);
    if (count === 0) throw new AssetError('the executable is cut short');
    done += count;
  }
  return bytes;
}

/** `{"version": "…", "files": {"name": [offset, length, "sha256 in hex"]}}`; every file lies before `end`. */
function parseIndex(json: string, end: number): Tail {
  let index: unknown;
  try {
    index = JSON.parse(json);
  } catch (error) {
    throw new AssetError('the index of the executable is not JSON', { cause: error });
  }
  if (!isObject(index) || typeof index['version'] !== 'string' || !isObject(index['files']))
    throw new AssetError('the index of the executable is not an index');
  const entries = new Map<string, AssetLocation>();
  for (const [name, value] of Object.entries(index['files'])) {
    const [offset, length, digest]: unknown[] = Array.isArray(value) ? value : [];
    if (!isSize(offset) || !isSize(length) || typeof digest !== 'string' || offset + length > end)
      throw new AssetError(`the index of the executable is wrong about ${JSON.stringify(name)}`);
    entries.set(name, { offset, length, digest, place: entries.size });
  }
  return { version: index['version'], entries };
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
