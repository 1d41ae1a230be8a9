/**
 * Files (design: "Static files"). A small file that was asked for within the last second is answered in the same turn of the event
 * loop, from memory and without a system call; anything else is located, opened and read off the loop. A change on disk is
 * therefore seen within a second.
 */

import type { Reply, Request } from '../../engine/engine.ts';
import { type CacheBudget, FileCache } from '../../files/cache.ts';
import type { ReadBuffers } from '../../files/file-body.ts';
import { FileBody } from '../../files/file-body.ts';
import { globMatcher } from '../../files/glob.ts';
import type { Representation } from '../../files/representation.ts';
import { type Resource, Resources } from '../../files/resources.ts';
import { FileRefusal } from '../../files/segments.ts';
import { contentTypes } from '../../files/types.ts';
import { type Conditions, conditionsOf } from '../../files/validators.ts';
import { listField, mediaWeight } from '../../http/accept.ts';
import { asFileError, HttpError } from '../../http/errors.ts';
import { type Answer, type Call, type Handler, TO_FOLDER } from '../../http/handler.ts';
import type { Log } from '../../ops/log.ts';
import { type PathBelow, pathOfFile } from '../../routing/canonical-path.ts';
import type { StaticConfig } from './keys.ts';
import { Listings } from './listing.ts';
import { content, settle, variantFor } from './reply.ts';

export interface StaticDeps {
  /** The route's key: says its path, and names it in the log. */
  readonly route: string;
  /** Shared by all static routes, so that one bound holds for all. */
  readonly files: CacheBudget;
  readonly buffers: ReadBuffers;
  readonly log: Log;
}

const NO_INDEX = 'the folder has no index file; "listing = true" in the table of the route would list its files';

/** Serves the files below `config.root`. */
export function staticHandler(config: StaticConfig, deps: StaticDeps): Handler {
  const files = new StaticFiles(config, deps);
  return {
    kind: 'static',
    methods: ['GET', 'HEAD'],
    takesBody: false,
    crossSite: 'open',
    handle: (call) => files.handle(call),
    errorPage: (status) => files.errorPage(status),
    retire: () => files.retire(),
    close: () => Promise.resolve(),
  };
}

class StaticFiles {
  private readonly cache: FileCache<Resource>;
  private readonly resources: Resources;
  private readonly listings: Listings | undefined;
  /** The fallback and the error pages, as paths of requests. */
  private readonly fallback: PathBelow | undefined;
  private readonly errorPages: ReadonlyMap<number, PathBelow>;

  constructor(
    config: StaticConfig,
    private readonly deps: StaticDeps,
  ) {
    const { root, index, precompressed, fallback } = config;
    const { route, log } = deps;
    const cache = new FileCache<Resource>(deps.files);
    this.cache = cache;
    const cacheControl = firstMatch(config.cache_control);
    const contentType = contentTypes(config);
    this.resources = new Resources({ root, index, precompressed, contentType, cacheControl, cache });
    this.listings = config.listing ? new Listings({ root, route, log }) : undefined;
    this.fallback = fallback === undefined ? undefined : pathOfFile(fallback);
    this.errorPages = new Map([...config.error_pages].map(([status, file]) => [Number(status), pathOfFile(file)]));
  }

  handle(call: Call): Answer | Promise<Answer> {
    const known = this.resources.fresh(call.rest);
    return known === undefined ? this.looked(call) : this.answer(known, call.request);
  }

  /** Others serve from here on, and look for themselves. */
  retire(): void {
    this.cache.close();
  }

  /** The page of the route's own for an error. It is not negotiated, not to be kept, and has nothing that a client could ask about later. */
  errorPage(status: number): Promise<Reply> | undefined {
    const path = this.errorPages.get(status);
    return path === undefined ? undefined : this.pageAt(path, status);
  }

  private answer(resource: Resource, request: Request): Reply | Promise<Reply> {
    const conditions = conditionsOf(request.headers);
    const file = variantFor(resource, request);
    return settle(file, request, conditions) ?? this.opened(file, resource, request, conditions);
  }

  /** The answer after a look at the disk. */
  private async looked(call: Call): Promise<Answer> {
    const { rest, request } = call;
    try {
      const found = await this.resources.look(rest);
      if (found === 'folder without slash') {
        return TO_FOLDER;
      }
      if (found !== 'folder') return await this.answer(found, request);
      // Below an exact route nothing is served that a listing could lead to.
      if (this.listings !== undefined && (rest !== '' || this.deps.route.endsWith('/')))
        return await this.listings.reply(rest, request);
      throw new HttpError(403, NO_INDEX, { told: 'This folder has no page of its own, and its files are not listed.' });
    } catch (error) {
      const fallback = error instanceof FileRefusal && error.status === 404 ? await this.fallbackFor(call) : undefined;
      if (fallback !== undefined) return await this.answer(fallback, request);
      return refuse(error);
    }
  }

  /** What a page with routes of its own gets for a path that is not a file: itself. */
  private async fallbackFor({ request, rest }: Call): Promise<Resource | undefined> {
    if (this.fallback === undefined || !wantsPage(request, rest)) return undefined;
    return await this.fileAt(this.fallback).catch(refuse);
  }

  /** A file of the route's own configuration. */
  private async fileAt(path: PathBelow): Promise<Resource> {
    const found = this.resources.fresh(path) ?? (await this.resources.look(path));
    if (typeof found !== 'string') return found;
    throw new FileRefusal(404, `${path} is a folder, not a file`);
  }

  /** A GET of a file whose bytes are not in memory: its state is that of the moment of opening. */
  private async opened(
    file: Representation,
    resource: Resource,
    request: Request,
    conditions: Conditions | undefined,
  ): Promise<Reply> {
    try {
      const { located, current } = await this.resources.locate(file);
      try {
        const settled = settle(current, request, conditions);
        if (settled) return settled;
        const { status, headers, pieces } = content(current, request, conditions);
        return { status, headers, body: this.body(await located.open(), pieces) };
      } finally {
        await located.release();
      }
    } catch (error) {
      // A compressed sibling that was taken away within the last second is nothing that a client should notice.
      const hasMore = file !== resource.identity && error instanceof FileRefusal;
      return hasMore ? await this.opened(resource.identity, resource, request, conditions) : refuse(error);
    }
  }

  private async pageAt(path: PathBelow, status: number): Promise<Reply> {
    const { identity } = await this.fileAt(path);
    const headers = [
      ['content-type', identity.type],
      ['cache-control', 'no-store'],
    ] as const;
    if (identity.bytes !== undefined) return { status, headers, body: identity.bytes };
    const { located, current } = await this.resources.locate(identity);
    try {
      const pieces = current.size === 0 ? [] : [{ start: 0, end: current.size - 1 }];
      return { status, headers, body: this.body(await located.open(), pieces) };
    } finally {
      await located.release();
    }
  }

  private body(descriptor: number, pieces: ConstructorParameters<typeof FileBody>[1]): FileBody {
    return new FileBody(descriptor, pieces, this.deps.buffers, (error) =>
      this.deps.log.warn('a file could not be closed', { route: this.deps.route, error: error.message }),
    );
  }
}

/** The value of the first pattern that a path fits. */
function firstMatch(rules: ReadonlyMap<string, string>): (path: string) => string | undefined {
  const matchers = [...rules].map(([pattern, value]) => ({ fits: globMatcher(pattern), value }));
  return (path) => matchers.find(({ fits }) => fits(path))?.value;
}

/**
 * Whether somebody wants to see a page at this path. A browser that goes there names HTML. Whoever takes anything (a script of
 * the page, curl) gets the page only where the name does not look like a file's, so that a missing script is missed.
 */
function wantsPage(request: Request, rest: string): boolean {
  const accept = listField(request.headers, 'accept');
  if (accept !== undefined && /text\/html/i.test(accept)) return mediaWeight(accept, 'text/html') > 0;
  return mediaWeight(accept, 'text/html') > 0 && !rest.slice(rest.lastIndexOf('/') + 1).includes('.');
}

/** 503 where the system has no room to open a file. */
function refuse(error: unknown): never {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM') {
    throw new HttpError(503, `a file cannot be opened: ${code}`, { cause: error, headers: [['retry-after', '1']] });
  }
  throw asFileError(error);
}
