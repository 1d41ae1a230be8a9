/** The keys that every kind of route has, and what `[defaults]` gives each of them. */

import { headerName, headerValue } from '../values/names.ts';
import { boolean } from '../values/simple.ts';
import { mapOf, oneOrListOf, overridesOf, type Table, table } from '../values/tables.ts';
import { type Fields, preset, type Values } from '../values/value.ts';
import { type AccessPolicies, policyDefaults, policyOverrides, requestLimits } from './policies.ts';
import { processLimits, programKeys } from './programs.ts';

const headers = mapOf(
  oneOrListOf(headerValue, 'values of a field that is sent several times'),
  headerName,
  'header fields, name = "value"',
);

const limits = table(requestLimits);
const programLimits = table({ ...requestLimits, ...processLimits });

const LIMITS = 'limits = { body = "16MiB" }';

const routeHeaders = preset(
  headers,
  {},
  'Header fields that are added to every response of this route, unless the program or file sets them itself. The 101 response of a WebSocket gets them too, except those that describe a document (Content-Type, ETag …).',
);

/** What every route has beside the keys of its kind. */
export const routeKeys = {
  headers: routeHeaders,
  limits: preset(overridesOf(limits, LIMITS), {}, 'Limits on what a client may send to this route.'),
  ...policyOverrides,
} as const;

/** Of every kind whose answers are documents. */
export const compressKeys = {
  compress: preset(
    boolean,
    false,
    'Whether text over 1 KiB is compressed with gzip for clients that accept it, while it is sent. Event streams, pictures, and what is compressed already stay as they are.',
  ),
} as const;

const inheritedByPrograms = {
  headers: routeHeaders,
  limits: preset(
    overridesOf(programLimits, LIMITS),
    {},
    'Limits on what a client may send to this route, and on its programs.',
  ),
  ...policyOverrides,
} as const;

/** The same for a kind that starts programs. */
export const programRouteKeys = { ...programKeys, ...inheritedByPrograms } as const;

export const defaults = table({
  headers: preset(headers, {}, 'Header fields that are added to every response.'),
  ...policyDefaults,
  limits: preset(programLimits, {}, 'Limits on what a client may send, and on the programs of all routes.'),
});

export type Limits = Values<(typeof limits)['fields']>;
export type ProgramLimits = Values<(typeof programLimits)['fields']>;
export type Defaults = Values<(typeof defaults)['fields']>;

/** A route's policies, complete: `limits` with what `[defaults]` gives them. */
export interface RoutePolicies extends AccessPolicies {
  readonly limits: Limits;
}

/** What is known of a route whatever its kind is. Header names are in lower case. */
export interface RouteConfig extends RoutePolicies {
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** Left out: the kind has no such key. */
  readonly compress?: boolean;
}

/** A route that `T` reads, as it is handed out: headers and policies are complete, with what `[defaults]` gives it. */
export type Complete<T extends Table<Fields>, L extends Limits = Limits> = Omit<
  Values<T['fields']>,
  keyof typeof routeKeys
> &
  RouteConfig & { readonly limits: L };

/** A route as it is read: what it does not set itself is undefined. */
type Inheriting = Values<typeof routeKeys>;

/** Gives a route what it inherits: a key that it sets itself stays, every other is `[defaults]`'. */
export function inherit(route: Inheriting, defaults: Defaults): RouteConfig {
  return {
    ...route,
    headers: new Map([...defaults.headers, ...route.headers]),
    limits: override(defaults.limits, route.limits),
    cors: override(defaults.cors, route.cors),
    cross_site: route.cross_site ?? defaults.cross_site,
    auth: override(defaults.auth, route.auth),
  };
}

/** `base` with what `own` sets. */
export function override<T extends object>(base: T, own: { readonly [K in keyof T]?: T[K] | undefined }): T {
  const set = Object.entries(own).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(set) };
}
