/**
 * A kind of route: what it says of itself to the configuration, and how its routes are built. Each kind is a value of this type in a folder of
 * its own, and a line in `handlers/kinds.ts`.
 */
import type { RouteConfig } from '../config/keys/routes.ts';
import type { RouteSchema } from '../config/route-schema.ts';
import type { CacheBudget } from '../files/cache.ts';
import type { ReadBuffers } from '../files/file-body.ts';
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import type { SharedObjects } from '../ownership/shared-objects.ts';
import type { WritingRules } from '../policy/policies.ts';
import type { SystemFacts } from '../process/confinement/confine.ts';
import type { Programs } from '../process/programs.ts';
import type { Exit } from '../process/spawn.ts';
import type { Router } from '../routing/router.ts';
import type { Handler } from './handler.ts';
import type { Route } from './route.ts';

/** Makes handlers for the operator's pages; each has its viewers for itself. */
export interface StatusPages {
  handler(options: StatusOptions): Handler;
}

export interface StatusOptions {
  /** Whether something may be done from here. */
  readonly actions: boolean;
  /** The hosts that it answers for, beside addresses and localhost; undefined where its listener sees to that. */
  readonly hosts: readonly string[] | undefined;
}

/** What the routes of one gateway share. */
export interface CommonParts {
  readonly log: Log;
  /** Of runnel. */
  readonly version: string;
  readonly tallies: Tallies;
  readonly programs: Programs;
  /** For small files in memory. */
  readonly files: CacheBudget;
  readonly buffers: ReadBuffers;
  /** The FFI add-on's exports (`ops/addons/addon.ts`); undefined where it is not loaded. */
  readonly addon: unknown;
  readonly shared: SharedObjects;
  /** Which route serves a path, in the configuration that is in force when it is asked. */
  readonly find: Router<Route>['find'];
  readonly status: StatusPages;
  /** For `runnel run --once`: a program of a stream has ended, and its clients have been told. */
  readonly programOver?: ((exit: Exit) => void) | undefined;
}

/** What a route is built with. */
export interface BuildParts extends CommonParts {
  /** Users and tools of this machine, as they are now. */
  readonly system: SystemFacts;
  /** Only for a kind that uses it: the folder of files that is served at "/" on every host, if there is one. */
  readonly documentRoot: string | undefined;
}

export interface RouteKind<N extends string = string, R extends RouteConfig = RouteConfig> extends RouteSchema<N, R> {
  /** Its programs are told where the gateway's pages are (DOCUMENT_ROOT). */
  readonly usesDocumentRoot?: true;
  /** Pages use `/.runnel/client.js` for its routes: with one of them the gateway serves its files for browsers. */
  readonly usesBrowserFiles?: true;
  /** The largest message that a route takes over WebSocket, bytes: its key `max_message`. */
  maxMessage?(route: R): number;
  /** Rules of its own for writing; undefined: those of the route hold for it. */
  writing?(route: R): WritingRules | undefined;
  /** Nothing runs yet of what is built. Throws an `Error` for what a check of the configuration would have found. */
  build(key: string, route: R, parts: BuildParts): Handler;
}
