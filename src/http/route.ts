/** What the pipeline is made of: built routes, and the parts they share. */
import type { Limits } from '../config/schema.ts';
import type { HeaderList } from '../engine/engine.ts';
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import type { Admission } from '../policy/admission.ts';
import type { Auth } from '../policy/auth.ts';
import type { Cors } from '../policy/cors.ts';
import type { Handler } from './handler.ts';
import type { Router } from './router.ts';

/** A route, built: what the router hands out. */
export interface Route {
  /** Its key as configured: the name in logs and metrics. */
  readonly key: string;
  readonly handler: Handler;
  /** Fields that every reply gets unless it has them. */
  readonly headers: HeaderList;
  readonly limits: Limits;
  readonly cors: Cors;
  /** Whether other sites may send requests that change something. */
  readonly crossSite: 'allow' | 'refuse';
  readonly auth: Auth;
}

export interface PipelineParts {
  readonly router: Router<Route>;
  /** What each address may ask for. */
  readonly admission: Admission;
  /** For what no route serves: a page of another origin may read a 404, too. */
  readonly unroutedCors: Cors;
  readonly log: Log;
  readonly tallies: Tallies;
  /** Whether each request gets a log line. */
  readonly logRequests: boolean;
  /** A name for the next request, unique in this run. */
  nextId(): string;
}
