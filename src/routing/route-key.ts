/** A route's key taken apart: "/exact", "/prefix/", or either with a host before it. */
import { type CanonicalPath, canonicalText } from './canonical-path.ts';

export interface RouteKey {
  /** In lower case; "" for every host. */
  readonly host: string;
  readonly path: CanonicalPath;
  /** It serves everything below its path. */
  readonly prefix: boolean;
}

/** Undefined for a text that is no key of a route. */
export function parseRouteKey(key: string): RouteKey | undefined {
  const slash = key.indexOf('/');
  const path = slash < 0 ? undefined : canonicalText(key.slice(slash));
  return path && { host: key.slice(0, slash).toLowerCase(), path, prefix: path.endsWith('/') };
}

/** The key of a route of ours, which was checked when the configuration was read. */
export function routeKeyOf(key: string): RouteKey {
  const parsed = parseRouteKey(key);
  if (parsed === undefined) throw new RangeError(`${JSON.stringify(key)} is no key of a route`);
  return parsed;
}

/** The host that such a key has before its path; "" for every host. */
export function hostOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}
