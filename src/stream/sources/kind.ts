/**
 * A kind of source: what it says of itself, and how the sources of one stream are made. Each is a folder beside this file, and a line in
 * `sources.ts`.
 */
import type { Handler } from '../../http/handler.ts';
import type { Log } from '../../ops/log.ts';
import type { Tallies } from '../../ops/tallies.ts';
import type { Programs } from '../../process/programs.ts';
import type { Exit } from '../../process/spawn.ts';
import type { Launch } from '../../programs/launch.ts';
import type { CanonicalPath } from '../../routing/canonical-path.ts';
import type { Match } from '../../routing/router.ts';
import type { StreamCounts } from '../counts.ts';
import type { Framing } from '../framing.ts';
import type { SourceName, StreamConfig } from '../keys.ts';
import type { SourceTraits, StreamPlan } from '../plan.ts';
import type { SourceChecks } from './checks.ts';
import type { PrivateSources, SharedSources } from './source.ts';

export interface SourceKind extends SourceTraits {
  /** The key of a stream that chooses it. */
  readonly name: SourceName;
  readonly checks: SourceChecks;
  /** For a stream whose clients have a source each; undefined where they cannot. */
  private?(parts: SourceParts): PrivateSources;
  /** For a stream whose clients share a source; undefined where they cannot. */
  shared?(parts: SourceParts): SharedSources;
}

/** What a stream gives to its sources. */
export interface SourceParts {
  /** Of the route. */
  readonly key: string;
  readonly config: StreamConfig;
  readonly plan: StreamPlan;
  readonly framing: Framing;
  readonly counts: StreamCounts;
  readonly log: Log;
  readonly tallies: Tallies;
  readonly programs: Programs;
  /** Of runnel. */
  readonly version: string;
  readonly find: FindRoute;
  /** How the route's programs are started. */
  readonly launch: Launch;
  /** A program has ended, and its clients have been told. */
  readonly programOver?: ((exit: Exit) => void) | undefined;
}

/** Which route serves a path on a host, once the gateway is built. */
export type FindRoute = (host: string, path: CanonicalPath) => Match<FoundRoute> | undefined;

export interface FoundRoute {
  readonly handler: Handler;
  /** Whether it asks clients to sign in. */
  readonly auth: { readonly on: boolean };
}
