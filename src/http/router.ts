/** Which route serves a path: the longest match wins. */

/** One route, as the router sees it: its key as configured, and whatever the caller hangs on it. */
export interface Entry<T> {
  /** "/exact", "/prefix/" or "host.name/prefix/". */
  readonly key: string;
  readonly value: T;
}

export interface Match<T> {
  readonly value: T;
  /** The canonical path below the route's; "" for an exact match. */
  readonly rest: string;
  /** The route's path, without its host. */
  readonly base: string;
  /** The path is that of a prefix route without its last slash: send the client there. */
  readonly needsSlash: boolean;
}

interface Candidate<T> {
  readonly host: string;
  readonly path: string;
  readonly prefix: boolean;
  readonly value: T;
}

/** An immutable table of routes. A lookup takes time by the number of routes, of which there are few. */
export class Router<T> {
  /** Longest path first; with equal paths the one with a host first. */
  private readonly candidates: readonly Candidate<T>[];

  constructor(entries: readonly Entry<T>[]) {
    this.candidates = entries
      .map(({ key, value }) => {
        const slash = key.indexOf('/');
        const path = key.slice(slash);
        return { host: key.slice(0, slash).toLowerCase(), path, prefix: path.endsWith('/'), value };
      })
      .sort((a, b) => b.path.length - a.path.length || b.host.length - a.host.length);
  }

  /**
   * @param host in lower case without port, "" when unknown
   * @param path canonical (`canonicalPath`)
   */
  find(host: string, path: string): Match<T> | undefined {
    for (const candidate of this.candidates) {
      if (candidate.host !== '' && candidate.host !== host) continue;
      if (candidate.prefix && path.startsWith(candidate.path)) {
        return {
          value: candidate.value,
          rest: path.slice(candidate.path.length),
          base: candidate.path,
          needsSlash: false,
        };
      }
      if (candidate.path === path) return { value: candidate.value, rest: '', base: candidate.path, needsSlash: false };
      // "/app" for the route "/app/": the same courtesy that a folder without its slash gets.
      if (candidate.prefix && candidate.path.length === path.length + 1 && candidate.path.startsWith(path)) {
        return { value: candidate.value, rest: '', base: candidate.path, needsSlash: true };
      }
    }
    return undefined;
  }
}
