/** What the pipeline is made of: built routes, and the parts they share. */
import type { HeaderList } from '../engine/engine.ts';
import type { HostPatterns } from '../net/host-patterns.ts';
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import type { BuiltPolicies, Policies } from '../policy/policies.ts';
import type { Router } from '../routing/router.ts';
import type { BusyLog } from './call/busy-log.ts';
import type { RequestLog } from './call/request-log.ts';
import type { Handler } from './handler.ts';

/** A route, built: what the router hands out. */
export interface Route extends BuiltPolicies {
  /** Its key as configured: the name in logs and metrics. */
  readonly key: string;
  readonly handler: Handler;
  /** Fields that every reply gets unless it has them. */
  readonly headers: HeaderList;
}

export interface PipelineParts {
  readonly router: Router<Route>;
  /** The routes that are in force when it is asked. */
  latest(): Router<Route>;
  /** Those that the listener answers for. */
  readonly hosts: HostPatterns;
  readonly policies: Pick<Policies, 'proxies' | 'rates' | 'unroutedCors'>;
  readonly log: Log;
  readonly tallies: Tallies;
  /** Fields that every reply gets unless it or its route has them. */
  readonly headers: HeaderList;
  readonly busyLog: BusyLog;
  /** What writes the lines of requests; undefined: they get none. */
  readonly requestLog: RequestLog | undefined;
  /** A name for the next request, unique in this run. */
  nextId(): string;
}
