/**
 * Files (design: "Static files"). A small file that was asked for within the last second is answered in the same turn of the event
 * loop, from memory and without a system call; anything else is located, opened and read off the loop. A change on disk is
 * therefore seen within a second.
 */
import { basename } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { StaticConfig } from '../config/schema.ts';
import type { Reply, Request } from '../engine/engine.ts';
import type { FileCache } from '../files/cache.ts';
import { type Located, locate } from '../files/locate.ts';
import { type ByteRange, contentRange, parseRange } from '../files/range.ts';
import { Refused } from '../files/refused.ts';
import { isUnchanged, type Representation, readWhole, represent } from '../files/representation.ts';
import { segmentsOf } from '../files/segments.ts';
import { FileBody } from '../files/stream-file.ts';
import { type Conditions, conditionsOf, precondition, rangeApplies } from '../files/validators.ts';
import { HttpError } from '../http/errors.ts';
import type { Call, Handler } from '../http/handler.ts';
import { NoBody } from '../http/no-body.ts';
import type { Log } from '../ops/log.ts';

/** Files up to this many bytes are kept in memory whole. */
const SMALL = 128 * 1024;

export interface StaticDeps {
  /** The route's key: says its path, and names it in the log and in the cache. */
  readonly route: string;
  /** Shared by all static routes, so that one bound holds for all. */
  readonly cache: FileCache<Representation>;
  readonly log: Log;
}

/** Serves the files below `config.root`. */
export function staticHandler(config: StaticConfig, deps: StaticDeps): Handler {
  const files = new StaticFiles(config, deps);
  return {
    kind: 'static',
    methods: ['GET', 'HEAD'],
    takesBody: false,
    crossSite: 'open',
    handle: (call) => files.handle(call),
    drain: () => undefined,
    close: () => Promise.resolve(),
  };
}

class StaticFiles {
  /** Checks under way: requests for one file share one. */
  private readonly checks = new Map<string, Promise<Representation | undefined>>();

  constructor(
    private readonly config: StaticConfig,
    private readonly deps: StaticDeps,
  ) {}

  handle(call: Call): Reply | Promise<Reply> {
    const conditions = conditionsOf(call.request.headers);
    const key = `${this.deps.route}\n${call.rest}`;
    const known = this.deps.cache.fresh(key, performance.now());
    if (known === undefined) return this.checked(call, key, conditions);
    return settle(known, call.request, conditions) ?? this.opened(call, conditions);
  }

  /** The answer after a look at the disk. */
  private async checked(call: Call, key: string, conditions: Conditions | undefined): Promise<Reply> {
    let check = this.checks.get(key);
    if (check === undefined) {
      check = this.check(call, key).finally(() => this.checks.delete(key));
      this.checks.set(key, check);
    }
    const found = await check.catch(asHttpError);
    if (found === undefined) {
      const location = folderLocation(this.deps.route, call.rest, call.request.query);
      return { status: 301, headers: [['location', location]], body: undefined };
    }
    return settle(found, call.request, conditions) ?? this.opened(call, conditions);
  }

  /** The file that `rest` stands for now, put into the cache; undefined for a folder without its slash. */
  private async check(call: Call, key: string): Promise<Representation | undefined> {
    const now = performance.now();
    const located = await this.find(call.rest);
    if (located === undefined) return undefined;
    try {
      const { cache } = this.deps;
      const known = cache.stale(key);
      if (known && isUnchanged(known, located.stats)) {
        cache.put(key, known, known.bytes?.length ?? 0, now);
        return known;
      }
      const bytes = located.stats.size <= SMALL ? await readWhole(located) : undefined;
      const representation = this.represent(located, bytes);
      if (bytes || representation.size > SMALL) cache.put(key, representation, bytes?.length ?? 0, now);
      else cache.drop(key);
      return representation;
    } catch (error) {
      this.deps.cache.drop(key);
      throw error;
    } finally {
      await located.release();
    }
  }

  /** A GET of a file whose bytes are not in memory: its state is that of the moment of opening. */
  private async opened(call: Call, conditions: Conditions | undefined): Promise<Reply> {
    const located = await this.find(call.rest).catch(asHttpError);
    if (located === undefined) throw new HttpError(404, 'a file has become a folder');
    try {
      const representation = this.represent(located, undefined);
      const settled = settle(representation, call.request, conditions);
      if (settled) return settled;
      const range = wantedRange(representation, call.request, conditions);
      const descriptor = await located.open().catch(asHttpError);
      const [offset, length] = range ? [range.start, range.end - range.start + 1] : [0, representation.size];
      const body = new FileBody(descriptor, offset, length, (error) =>
        this.deps.log.warn('a file could not be closed', { route: this.deps.route, error: error.message }),
      );
      return range
        ? { status: 206, headers: partHeaders(representation, range), body }
        : { status: 200, headers: representation.headers, body };
    } finally {
      await located.release();
    }
  }

  private represent(located: Located, bytes: Buffer | undefined): Representation {
    return represent(basename(located.path), located.stats, bytes, this.config.cache_control, Date.now());
  }

  /** The file that `rest` stands for; undefined for a folder that was asked for without its slash. Rejects with `Refused`. */
  private async find(rest: string): Promise<Located | undefined> {
    const segments = segmentsOf(rest);
    const located = await locate(this.config.root, segments);
    // "" is the route itself: whether its path ends in a slash is the configuration's choice, not the client's.
    const slash = segments.at(-1) === '';
    if (located.kind === 'file') {
      if (!slash || rest === '') return located;
      await located.release();
      throw new Refused(404, 'a file, not a folder');
    }
    await located.release();
    return slash ? this.index(segments) : undefined;
  }

  private async index(folder: readonly string[]): Promise<Located> {
    for (const name of this.config.index) {
      const located = await locate(this.config.root, [...folder, name]).catch((error: unknown) => {
        if (error instanceof Refused && error.status === 404) return undefined;
        throw error;
      });
      if (located?.kind === 'file') return located;
      await located?.release();
    }
    throw new Refused(403, 'a folder without an index file');
  }
}

/** The answer to what can be answered from what is in memory; undefined when the file is to be opened. */
function settle(file: Representation, request: Request, conditions: Conditions | undefined): Reply | undefined {
  if (conditions !== undefined) {
    const outcome = precondition(conditions, file.validators);
    if (outcome === 'not-modified') return file.notModified;
    if (outcome === 'precondition-failed') throw new HttpError(412, 'the file is not in the state asked for');
  }
  if (request.method === 'HEAD') {
    return file.whole ?? { status: 200, headers: file.headers, body: new NoBody(file.size) };
  }
  if (file.bytes === undefined) return undefined;
  const range = conditions && wantedRange(file, request, conditions);
  if (range === undefined) return file.whole;
  const body = file.bytes.subarray(range.start, range.end + 1);
  return { status: 206, headers: partHeaders(file, range), body };
}

/** The one part that is wanted; undefined for the whole file. Several parts are answered with the whole, as RFC 9110 section 14.2 permits. */
function wantedRange(
  file: Representation,
  request: Request,
  conditions: Conditions | undefined,
): ByteRange | undefined {
  if (conditions?.range === undefined || request.method !== 'GET') return undefined;
  if (!rangeApplies(conditions.ifRange, file.validators, Date.now())) return undefined;
  const ranges = parseRange(conditions.range, file.size);
  if (ranges === 'whole') return undefined;
  if (ranges === 'unsatisfiable') {
    const headers = [['content-range', contentRange(undefined, file.size)]] as const;
    throw new HttpError(416, 'the range lies beyond the end of the file', { headers });
  }
  return ranges.length === 1 ? ranges[0] : undefined;
}

function partHeaders(file: Representation, range: ByteRange): Reply['headers'] {
  return [...file.headers, ['content-range', contentRange(range, file.size)]];
}

/**
 * The address of a folder, with its slash and the query: from the route's own path and the canonical rest, because the path as sent may
 * start with "//", which would be another host's address. What is not ASCII is encoded.
 */
export function folderLocation(route: string, rest: string, query: string | undefined): string {
  const path = `${route.slice(route.indexOf('/'))}${rest}/`;
  const target = query === undefined ? path : `${path}?${query}`;
  return target.replace(/[^\x21-\x7e]/gu, encodeURIComponent);
}

function asHttpError(error: unknown): never {
  if (error instanceof Refused) throw new HttpError(error.status, error.message, { cause: error });
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM') {
    throw new HttpError(503, `a file cannot be opened: ${code}`, { cause: error, headers: [['retry-after', '1']] });
  }
  throw error;
}
