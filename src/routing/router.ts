/** Which route serves a path: an exact one, else the one with the longest path. */
import { type CanonicalPath, type PathBelow, pathBelow } from './canonical-path.ts';
import { type RouteKey, routeKeyOf } from './route-key.ts';

/**
 * The part of the requests for its path that a route takes, where it leaves the others to the next route that fits: WebSocket handshakes, or
 * what it has something for (it says so by a `NothingHere`). Two routes may have one path if they take different parts.
 */
export type RoutePart = 'handshakes' | 'found';

/** One route, as the router sees it: its key as configured, and whatever the caller hangs on it. */
export interface RouteEntry<T> {
  readonly key: string;
  readonly value: T;
  /** Left out: it takes all. */
  readonly part?: RoutePart | undefined;
}

export interface Match<T> {
  readonly value: T;
  /** The whole path. */
  readonly path: CanonicalPath;
  /** What it has below the route's; "" for an exact match. */
  readonly rest: PathBelow;
  /** The path is that of a prefix route without its last slash: send the client there. */
  readonly needsSlash: boolean;
}

interface Candidate<T> extends RouteKey {
  readonly value: T;
  readonly part: RoutePart | undefined;
}

/** Of routes with one path: who takes a part comes before who takes the rest. */
const TURN: { readonly [part in RoutePart | 'all']: number } = { handshakes: 0, found: 1, all: 2 };

/** An immutable table of routes. A lookup takes time by the number of routes, of which there are few. */
export class Router<T> {
  /** Longest path first; with equal paths the one with a host first. */
  private readonly candidates: readonly Candidate<T>[];

  constructor(entries: readonly RouteEntry<T>[]) {
    this.candidates = entries
      .map(({ key, value, part }) => ({ ...routeKeyOf(key), value, part }))
      .sort((a, b) => b.path.length - a.path.length || b.host.length - a.host.length || turn(a) - turn(b));
  }

  /**
   * @param host in lower case without port, "" when unknown
   * @param handshake whether a WebSocket is asked for
   * @param after the route that had nothing for the request: the next one is looked for
   */
  find(host: string, path: CanonicalPath, handshake = false, after?: T): Match<T> | undefined {
    let folder: Match<T> | undefined;
    let skipping = after !== undefined;
    for (const candidate of this.candidates) {
      if (skipping) {
        skipping = candidate.value !== after;
        continue;
      }
      if (candidate.part === 'handshakes' && !handshake) continue;
      if (candidate.host !== '' && candidate.host !== host) continue;
      if (candidate.path === path) return matchOf(candidate, path);
      if (!candidate.prefix) continue;
      if (path.startsWith(candidate.path)) return folder ?? matchOf(candidate, path);
      // "/app" for the route "/app/": the same courtesy that a folder without its slash gets, unless "/app" is a route itself.
      if (candidate.path.length === path.length + 1 && candidate.path.startsWith(path))
        folder ??= { value: candidate.value, path, rest: pathBelow(path, path), needsSlash: true };
    }
    return folder;
  }
}

function turn({ part }: Pick<Candidate<unknown>, 'part'>): number {
  return TURN[part ?? 'all'];
}

function matchOf<T>(candidate: Candidate<T>, path: CanonicalPath): Match<T> {
  return { value: candidate.value, path, rest: pathBelow(path, candidate.path), needsSlash: false };
}
