/**
 * The files of one route: from the path of a request to what is known of the file, looked at when the last look is older than the cache
 * lets pass. Requests for one path share one look.
 */
import type { PathBelow } from '../routing/canonical-path.ts';
import type { FileCache } from './cache.ts';
import { locate, type PathHandle } from './locate.ts';
import { CODINGS, isUnchanged, type Representation, readWhole, represent } from './representation.ts';
import { FileRefusal, segmentsOf } from './segments.ts';

/** Files up to this many bytes are kept in memory whole. */
const SMALL = 128 * 1024;
/**
 * Nanoseconds that a compressed sibling may be older than its file. Copies are made in any order; but a file that was changed later
 * than that was changed after it was compressed.
 */
const STALE = 2_000_000_000n;

/** A file as clients may get it: as it is, and compressed by those who put it there, the best coding first. */
export interface Resource {
  readonly identity: Representation;
  readonly encoded: readonly Representation[];
}

/** What a path stands for: a file, a folder without an index file, or a folder that was asked for without its slash. */
export type LookupResult = Resource | 'folder' | 'folder without slash';

export interface ResourcesOptions {
  readonly root: string;
  readonly index: readonly string[];
  /** Whether compressed siblings are looked for. */
  readonly precompressed: boolean;
  /** The Content-Type of the file at this path below the root. */
  readonly contentType: (path: string) => string;
  /** Its Cache-Control. */
  readonly cacheControl: (path: string) => string | undefined;
  /** This route's own, by path. */
  readonly cache: FileCache<Resource>;
}

interface FileLocation {
  readonly located: PathHandle;
  readonly segments: readonly string[];
}

interface Sibling extends FileLocation {
  readonly coding: Representation['coding'];
}

export class Resources {
  private readonly looks = new Map<PathBelow, Promise<LookupResult>>();

  constructor(private readonly options: ResourcesOptions) {}

  /** The file that `rest` stood for a moment ago, without asking the system. */
  fresh(rest: PathBelow): Resource | undefined {
    const known = this.options.cache.get(rest);
    if (known === undefined) return undefined;
    const now = performance.now();
    if (now >= known.freshUntil) return undefined;
    // A file in demand is looked at before its time is over, so that nobody waits for the disk. What is wrong with it then, the next
    // request meets itself: the file is not in the cache any more.
    if (now > known.ageingFrom) this.look(rest).catch(() => undefined);
    return known.value;
  }

  /** What `rest` stands for now. Rejects with `FileRefusal`; other errors (EMFILE, EIO …) pass through. */
  look(rest: PathBelow): Promise<LookupResult> {
    const shared = this.looks.get(rest);
    if (shared !== undefined) return shared;
    const look = this.lookAt(rest).finally(() => this.looks.delete(rest));
    this.looks.set(rest, look);
    return look;
  }

  /** The file of a representation as it is now, to be released by the caller. Rejects as `look`. */
  async locate(known: Representation): Promise<{ readonly located: PathHandle; readonly current: Representation }> {
    const located = await locate(this.options.root, known.segments);
    if (located.kind === 'file') {
      const location = { located, segments: known.segments };
      const current = isUnchanged(known, located.stats)
        ? known
        : this.represent(location, undefined, known.coding, known.varies);
      return { located, current };
    }
    await located.release();
    throw new FileRefusal(404, 'a file has become a folder');
  }

  private async lookAt(rest: PathBelow): Promise<LookupResult> {
    const now = performance.now();
    const { cache } = this.options;
    const location = await this.find(rest).catch((error: unknown) => {
      cache.drop(rest);
      throw error;
    });
    if (typeof location === 'string') {
      cache.drop(rest);
      return location;
    }
    let siblings: readonly Sibling[] = [];
    try {
      siblings = await this.siblings(location);
      const known = cache.get(rest)?.value;
      const resource = known && isSame(known, location, siblings) ? known : await this.read(location, siblings);
      const all = [resource.identity, ...resource.encoded];
      const bytes = all.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0);
      if (all.every(isKnown)) cache.put(rest, resource, bytes, now);
      else cache.drop(rest);
      return resource;
    } catch (error) {
      cache.drop(rest);
      throw error;
    } finally {
      await Promise.all([location, ...siblings].map(({ located }) => located.release()));
    }
  }

  private async find(rest: PathBelow): Promise<FileLocation | 'folder' | 'folder without slash'> {
    const segments = segmentsOf(rest);
    const located = await locate(this.options.root, segments);
    // "" is the route itself: whether its path ends in a slash is the configuration's choice, not the client's.
    const slash = segments.at(-1) === '';
    if (located.kind === 'file') {
      if (!slash || rest === '') return { located, segments };
      await located.release();
      throw new FileRefusal(404, 'a file, not a folder');
    }
    await located.release();
    return slash ? ((await this.index(segments)) ?? 'folder') : 'folder without slash';
  }

  private async index(folder: readonly string[]): Promise<FileLocation | undefined> {
    for (const name of this.options.index) {
      const segments = [...folder, name];
      const located = await this.fileAt(segments);
      if (located !== undefined) return { located, segments };
    }
    return undefined;
  }

  /** The compressed files beside a file, the best coding first. */
  private async siblings({ segments, located }: FileLocation): Promise<readonly Sibling[]> {
    const name = segments.at(-1) ?? '';
    if (!this.options.precompressed || name === '') return [];
    const looks = await Promise.allSettled(
      CODINGS.map(async (coding): Promise<Sibling | undefined> => {
        const path = [...segments.slice(0, -1), name + coding.suffix];
        const sibling = await this.fileAt(path);
        if (sibling === undefined) return undefined;
        if (sibling.stats.mtimeNs + STALE >= located.stats.mtimeNs)
          return { located: sibling, segments: path, coding: coding.name };
        await sibling.release();
        return undefined;
      }),
    );
    const found = looks.flatMap((look) => (look.status === 'fulfilled' && look.value ? [look.value] : []));
    const failure = looks.find((look) => look.status === 'rejected');
    if (failure === undefined) return found;
    await Promise.all(found.map((sibling) => sibling.located.release()));
    throw failure.reason;
  }

  /** A file that may be missing, or be a folder. */
  private async fileAt(segments: readonly string[]): Promise<PathHandle | undefined> {
    const located = await locate(this.options.root, segments).catch((error: unknown) => {
      if (error instanceof FileRefusal && error.status === 404) return undefined;
      throw error;
    });
    if (located?.kind === 'file') return located;
    await located?.release();
    return undefined;
  }

  private async read(location: FileLocation, siblings: readonly Sibling[]): Promise<Resource> {
    const varies = siblings.length > 0;
    const encoded: Representation[] = [];
    for (const sibling of siblings)
      encoded.push(this.represent(sibling, await smallBytes(sibling.located), sibling.coding, varies));
    return { identity: this.represent(location, await smallBytes(location.located), undefined, varies), encoded };
  }

  private represent(
    { located, segments }: FileLocation,
    bytes: Buffer | undefined,
    coding: Representation['coding'],
    varies: boolean,
  ): Representation {
    const { stats } = located;
    const suffix = CODINGS.find(({ name }) => name === coding)?.suffix ?? '';
    const path = segments.filter((segment) => segment !== '').join('/');
    const own = path.slice(0, path.length - suffix.length);
    // A root that is itself a file has no path below it.
    const name = own === '' ? this.options.root : own;
    const type = this.options.contentType(name);
    const cacheControl = this.options.cacheControl(own);
    return represent({ segments, coding, varies, stats, type, bytes, cacheControl }, Date.now());
  }
}

function smallBytes(located: PathHandle): Promise<Buffer | undefined> {
  return located.stats.size <= SMALL ? readWhole(located) : Promise.resolve(undefined);
}

/** Whether it was not being written to while it was read. */
function isKnown(file: Representation): boolean {
  return file.bytes !== undefined || file.size > SMALL;
}

/** Whether the same files lie there in the same state. */
function isSame(known: Resource, location: FileLocation, siblings: readonly Sibling[]): boolean {
  return (
    isUnchanged(known.identity, location.located.stats) &&
    known.encoded.length === siblings.length &&
    siblings.every(({ coding, located }, index) => {
      const before = known.encoded[index];
      return before !== undefined && before.coding === coding && isUnchanged(before, located.stats);
    })
  );
}
