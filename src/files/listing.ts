/** What lies in a folder, as far as it would be served: in bounded memory, however much it is. */
import type { Dir, Dirent } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { isHidden, type Located, locate, refuse } from './locate.ts';
import { Refused } from './refused.ts';
import { isServable } from './segments.ts';

/** A folder with more entries than this is not sorted: its entries come in the order in which the file system has them. */
const SORTED = 5000;
/** Entries that are looked at together. */
const BATCH = 64;

export interface Entry {
  readonly name: string;
  readonly kind: 'file' | 'folder';
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/** A folder being listed. */
export class FolderListing {
  private ready: readonly Entry[] = [];
  private at = 0;
  private ended = false;
  private folderIsSorted = false;

  private constructor(
    private readonly root: string,
    private readonly segments: readonly string[],
    private readonly located: Located,
    private readonly dir: Dir,
  ) {}

  /**
   * Starts on the folder at `segments` below `root`. What `locate` would refuse is left out; folders come first, then by name, unless
   * there are too many. Rejects as `locate` does.
   */
  static async open(root: string, segments: readonly string[]): Promise<FolderListing> {
    const located = await locate(root, segments);
    let dir: Dir | undefined;
    try {
      if (located.kind !== 'folder') throw new Refused(404, 'a folder has become a file');
      dir = await opendir(located.handle, { bufferSize: BATCH }).catch(refuse);
      const listing = new FolderListing(root, segments, located, dir);
      await listing.begin();
      return listing;
    } catch (error) {
      await Promise.all([dir?.close(), located.release()]);
      throw error;
    }
  }

  get sorted(): boolean {
    return this.folderIsSorted;
  }

  /** The next entries, maybe none this time; undefined at the end. Not to be called again before it has answered. */
  async next(): Promise<readonly Entry[] | undefined> {
    if (this.at < this.ready.length) {
      this.at += BATCH;
      return this.ready.slice(this.at - BATCH, this.at);
    }
    this.ready = [];
    return this.ended ? undefined : await this.read();
  }

  /** To be called exactly once, and not while `next` is at work. */
  async close(): Promise<void> {
    await Promise.all([this.dir.close(), this.located.release()]);
  }

  private async begin(): Promise<void> {
    const first: Entry[] = [];
    while (!this.ended && first.length <= SORTED) first.push(...((await this.read()) ?? []));
    this.folderIsSorted = this.ended;
    if (this.ended) first.sort(comparison());
    this.ready = first;
  }

  private async read(): Promise<readonly Entry[] | undefined> {
    const found: Dirent[] = [];
    while (found.length < BATCH) {
      const dirent = await this.dir.read();
      if (dirent === null) break;
      found.push(dirent);
    }
    this.ended = found.length === 0;
    if (this.ended) return undefined;
    const entries = await Promise.all(found.map((dirent) => this.entryOf(dirent)));
    return entries.filter((entry) => entry !== undefined);
  }

  private async entryOf(dirent: Dirent): Promise<Entry | undefined> {
    const { name } = dirent;
    if (isHidden(name) || !isServable(name)) return undefined;
    if (dirent.isFIFO() || dirent.isSocket() || dirent.isCharacterDevice() || dirent.isBlockDevice()) return undefined;
    return dirent.isSymbolicLink() ? await this.linked(name) : await this.plain(name);
  }

  private async plain(name: string): Promise<Entry | undefined> {
    try {
      // A link that has taken the place of a file meanwhile is not followed.
      const stats = await lstat(`${this.located.handle}/${name}`);
      if (!stats.isFile() && !stats.isDirectory()) return undefined;
      return { name, kind: stats.isFile() ? 'file' : 'folder', size: stats.size, modified: stats.mtimeMs };
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  private async linked(name: string): Promise<Entry | undefined> {
    try {
      const { kind, stats, release } = await locate(this.root, [...this.segments, name]);
      await release();
      return { name, kind, size: Number(stats.size), modified: Number(stats.mtimeMs) };
    } catch (error) {
      if (error instanceof Refused) return undefined;
      throw error;
    }
  }
}

function comparison(): (a: Entry, b: Entry) => number {
  const order = new Intl.Collator('en', { numeric: true });
  return (a, b) => {
    if (a.kind !== b.kind) return a.kind === 'folder' ? -1 : 1;
    return order.compare(a.name, b.name) || (a.name < b.name ? -1 : 1);
  };
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES');
}
