/**
 * What lies in a folder, as far as it would be served: in bounded memory, however much it is. Of a folder that is too large to be sorted
 * nothing is kept but the batch that is being sent, and listings take turns at looking at files.
 */
import type { Dir, Dirent } from 'node:fs';
import { promises } from 'node:fs';
import { isHidden, locate, type PathHandle, refuse } from './locate.ts';
import { FileRefusal, isServable } from './segments.ts';

/** A folder with more entries than this is not sorted: its entries come in the order in which the file system has them. */
const SORTED = 5000;
/** Entries that are looked at together. */
const BATCH = 64;
/** Folders that are counted and sorted, or batches that are looked at, at one time: more would only wait for the threads that ask the disk. */
const TURNS = 2;

/** Who may look at files: what is being looked at costs more memory than what is known. First come, first served. */
export class ListingSemaphore {
  private free = TURNS;
  private readonly line: (() => void)[] = [];

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.line.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.line.shift();
      if (next === undefined) this.free++;
      else next();
    }
  }
}

export interface FolderEntry {
  readonly name: string;
  readonly kind: 'file' | 'folder';
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/** A folder being listed. */
export class FolderListing {
  private ready: readonly FolderEntry[] = [];
  private at = 0;
  private ended = false;
  private folderIsSorted = false;

  private constructor(
    private readonly root: string,
    private readonly segments: readonly string[],
    private readonly located: PathHandle,
    private readonly turns: ListingSemaphore,
    private dir: Dir,
  ) {}

  /**
   * Starts on the folder at `segments` below `root`. What `locate` would refuse is left out; folders come first, then by name, unless
   * there are too many. Rejects as `locate` does.
   */
  static async open(root: string, segments: readonly string[], turns: ListingSemaphore): Promise<FolderListing> {
    const located = await locate(root, segments);
    let listing: FolderListing | undefined;
    try {
      if (located.kind !== 'folder') throw new FileRefusal(404, 'a folder has become a file');
      const begun = new FolderListing(root, segments, located, turns, await openDir(located));
      listing = begun;
      await turns.run(() => begun.begin());
      return begun;
    } catch (error) {
      await (listing?.close() ?? located.release());
      throw error;
    }
  }

  get sorted(): boolean {
    return this.folderIsSorted;
  }

  /** The next entries, maybe none this time; undefined at the end. Not to be called again before it has answered. */
  async next(): Promise<readonly FolderEntry[] | undefined> {
    if (this.at < this.ready.length) {
      this.at += BATCH;
      return this.ready.slice(this.at - BATCH, this.at);
    }
    this.ready = [];
    return this.ended ? undefined : await this.turns.run(() => this.read());
  }

  /** To be called exactly once, and not while `next` is at work. */
  async close(): Promise<void> {
    await Promise.all([this.dir.close(), this.located.release()]);
  }

  /** Counts before it looks at anything: a folder that is too large is read from its beginning again, as it is sent. */
  private async begin(): Promise<void> {
    let names: Dirent[] | undefined = [];
    for (let found = await this.names(); found.length > 0; found = await this.names()) {
      names.push(...found);
      if (names.length <= SORTED) continue;
      names = undefined;
      break;
    }
    if (names === undefined) {
      // Opened first: whatever happens, `close` has one to close.
      const again = await openDir(this.located);
      const counted = this.dir;
      this.dir = again;
      await counted.close();
      return;
    }
    this.ended = true;
    this.folderIsSorted = true;
    const entries: FolderEntry[] = [];
    for (let at = 0; at < names.length; at += BATCH)
      entries.push(...(await this.entriesOf(names.slice(at, at + BATCH))));
    this.ready = entries.sort(comparison());
  }

  private async read(): Promise<readonly FolderEntry[] | undefined> {
    const found = await this.names();
    this.ended = found.length === 0;
    return this.ended ? undefined : await this.entriesOf(found);
  }

  /** The next batch of what stands in the folder; empty at its end. */
  private async names(): Promise<readonly Dirent[]> {
    const found: Dirent[] = [];
    while (found.length < BATCH) {
      const dirent = await this.dir.read();
      if (dirent === null) break;
      found.push(dirent);
    }
    return found;
  }

  private async entriesOf(found: readonly Dirent[]): Promise<readonly FolderEntry[]> {
    const entries = await Promise.all(found.map((dirent) => this.entryOf(dirent)));
    return entries.filter((entry) => entry !== undefined);
  }

  private async entryOf(dirent: Dirent): Promise<FolderEntry | undefined> {
    const { name } = dirent;
    if (isHidden(name) || !isServable(name)) return undefined;
    if (dirent.isFIFO() || dirent.isSocket() || dirent.isCharacterDevice() || dirent.isBlockDevice()) return undefined;
    return dirent.isSymbolicLink() ? await this.linked(name) : await this.plain(name);
  }

  private async plain(name: string): Promise<FolderEntry | undefined> {
    try {
      // A link that has taken the place of a file meanwhile is not followed.
      const stats = await promises.lstat(`${this.located.handle}/${name}`);
      if (!stats.isFile() && !stats.isDirectory()) return undefined;
      return { name, kind: stats.isFile() ? 'file' : 'folder', size: stats.size, modified: stats.mtimeMs };
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  private async linked(name: string): Promise<FolderEntry | undefined> {
    try {
      const { kind, stats, release } = await locate(this.root, [...this.segments, name]);
      await release();
      return { name, kind, size: Number(stats.size), modified: Number(stats.mtimeMs) };
    } catch (error) {
      if (error instanceof FileRefusal) return undefined;
      throw error;
    }
  }
}

function openDir(located: PathHandle): Promise<Dir> {
  return promises.opendir(located.handle, { bufferSize: BATCH }).catch(refuse);
}

function comparison(): (a: FolderEntry, b: FolderEntry) => number {
  const order = new Intl.Collator('en', { numeric: true });
  return (a, b) => {
    if (a.kind !== b.kind) return a.kind === 'folder' ? -1 : 1;
    return order.compare(a.name, b.name) || (a.name < b.name ? -1 : 1);
  };
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES');
}
