/** What is behind each listener of a configuration: the routes, a redirect to HTTPS, or the operator's own pages. */
import { randomBytes } from 'node:crypto';
import type { Redirect } from '../config/keys/listen.ts';
import { healthHandler, metricsHandler, readyHandler } from '../handlers/own/admin.ts';
import { hstsFields, type RedirectTarget, redirectRouter } from '../handlers/own/https.ts';
import { RequestLog } from '../http/call/request-log.ts';
import type { Handler } from '../http/handler.ts';
import { Pipeline } from '../http/pipeline.ts';
import type { PipelineParts, Route } from '../http/route.ts';
import { HostPatterns } from '../net/host-patterns.ts';
import type { Log } from '../ops/log.ts';
import { Metrics } from '../ops/metrics/metrics.ts';
import type { Tallies } from '../ops/tallies.ts';
import type { Policies } from '../policy/policies.ts';
import { type RouteEntry, Router } from '../routing/router.ts';
import type { Certificates } from '../tls/serving/certificates.ts';
import type { Config } from './config.ts';
import type { WantedListener } from './listeners.ts';

export interface PipelinesParts {
  readonly log: Log;
  readonly version: string;
  readonly tallies: Tallies;
  readonly certificates: Certificates;
  /** The routes that are in force. */
  routes(): Router<Route>;
  /** The port where HTTPS is now; undefined where nothing speaks it. */
  securePort(): number | undefined;
}

export class Pipelines {
  private readonly nextId = requestNames();
  private readonly metrics: Metrics;

  constructor(private readonly parts: PipelinesParts) {
    this.metrics = new Metrics(parts.tallies, parts.log, parts.version);
  }

  /** In the configuration's order, the operator's own last. */
  of(config: Config, policies: Policies, routes: Router<Route>): readonly WantedListener[] {
    const { log, tallies } = this.parts;
    const { requests } = config.log;
    const requestLog = requests.enabled ? new RequestLog(log, tallies, requests) : undefined;
    const wanted: WantedListener[] = config.listen.map((listen) => {
      const router =
        listen.redirect === undefined ? routes : redirectRouter(this.target(listen.redirect), policies.ofAdmin());
      const hosts = new HostPatterns(listen.hosts);
      const pipeline = this.pipeline({ router, hosts, policies, headers: hstsFields(listen.tls?.hsts) }, requestLog);
      return { listen, admin: false, serve: pipeline.serve };
    });
    if (config.admin === undefined) return wanted;
    const router = new Router(this.adminRoutes(policies));
    const hosts = new HostPatterns(config.admin.hosts);
    const pages = this.pipeline({ router, hosts, policies, headers: [] }, undefined);
    const listen = { address: config.admin.listen, engine: 'node' } as const;
    return [...wanted, { listen, admin: true, serve: pages.serve }];
  }

  /** The one that is configured, or else the first TLS listener's, which is bound by the time that somebody asks. */
  private target({ scheme, port }: Redirect): RedirectTarget {
    return { scheme, port: () => port ?? this.parts.securePort() ?? 443 };
  }

  private pipeline(
    parts: Pick<PipelineParts, 'router' | 'hosts' | 'policies' | 'headers'>,
    requestLog: RequestLog | undefined,
  ): Pipeline {
    const { log, tallies } = this.parts;
    return new Pipeline({ ...parts, latest: this.parts.routes, log, tallies, requestLog, nextId: this.nextId });
  }

  private adminRoutes(policies: Policies): RouteEntry<Route>[] {
    const { certificates } = this.parts;
    const built = policies.ofAdmin();
    const route = (key: string, handler: Handler): RouteEntry<Route> => ({
      key,
      value: { key, handler, headers: [], ...built },
    });
    return [
      route('/metrics', metricsHandler(this.metrics)),
      route('/healthz', healthHandler()),
      route(
        '/readyz',
        readyHandler(() => certificates.states(Date.now())),
      ),
    ];
  }
}

/** Names for requests, unique in this run. */
function requestNames(): () => string {
  const run = randomBytes(3).toString('hex');
  let count = 0;
  return () => `${run}-${(++count).toString(36)}`;
}
