/** What is behind each listener of a configuration: the routes, a redirect to HTTPS, or the operator's own pages. */
import { randomBytes } from 'node:crypto';
import type { AdminConfig } from '../config/keys/admin.ts';
import type { Redirect } from '../config/keys/listen.ts';
import { healthHandler, metricsHandler, readyHandler } from '../handlers/own/admin.ts';
import { hstsFields, type RedirectTarget, redirectRouter } from '../handlers/own/https.ts';
import { BusyLog } from '../http/call/busy-log.ts';
import { RequestLog } from '../http/call/request-log.ts';
import type { Handler } from '../http/handler.ts';
import { Pipeline } from '../http/pipeline.ts';
import type { PipelineParts, Route } from '../http/route.ts';
import type { StatusPages } from '../http/route-kind.ts';
import { HostPatterns } from '../net/host-patterns.ts';
import type { Log } from '../ops/log.ts';
import { Metrics } from '../ops/metrics/metrics.ts';
import type { Tallies } from '../ops/tallies.ts';
import type { BuiltPolicies, Policies } from '../policy/policies.ts';
import { type RouteEntry, Router } from '../routing/router.ts';
import type { Certificates } from '../tls/serving/certificates.ts';
import { type Config, everyRoute } from './config.ts';
import { same } from './differences.ts';
import type { WantedListener } from './listeners.ts';
import type { Maintenance } from './operating/maintenance.ts';

export interface PipelinesParts {
  readonly log: Log;
  readonly version: string;
  readonly tallies: Tallies;
  readonly certificates: Certificates;
  readonly maintenance: Maintenance;
  readonly status: StatusPages;
  /** The routes that are in force. */
  routes(): Router<Route>;
  /** The port where HTTPS is now; undefined where nothing speaks it. */
  securePort(): number | undefined;
}

interface AdminPage {
  readonly handler: Handler;
  readonly madeFrom: unknown;
}

export class Pipelines {
  private readonly nextId = requestNames();
  private readonly busyLog: BusyLog;
  private readonly metrics: Metrics;
  /** The status page of the admin listener, and what it was made from: who looks stays over a reload that changes nothing about it. */
  private page: AdminPage | undefined;
  private nextPage: AdminPage | undefined;

  constructor(private readonly parts: PipelinesParts) {
    this.metrics = new Metrics(parts.tallies, parts.log, parts.version);
    this.busyLog = new BusyLog(parts.log);
  }

  /** In the configuration's order, the operator's own last. */
  of(config: Config, policies: Policies, routes: Router<Route>): readonly WantedListener[] {
    const { log, tallies } = this.parts;
    const { requests } = config.log;
    const requestLog = requests.enabled ? new RequestLog(log, tallies, requests) : undefined;
    // The engine `node` is told with each WebSocket.
    const deflates = everyRoute(config).some(({ kind, route }) => kind.deflates?.(route) === true);
    const wanted: WantedListener[] = config.listen.map((listen) => {
      const router =
        listen.redirect === undefined ? routes : redirectRouter(this.target(listen.redirect), policies.ofNobody());
      const hosts = new HostPatterns(listen.hosts);
      const pipeline = this.pipeline({ router, hosts, policies, headers: hstsFields(listen.tls?.hsts) }, requestLog);
      return { listen, admin: false, deflates: deflates && listen.engine !== 'node', serve: pipeline.serve };
    });
    this.nextPage = undefined;
    if (config.admin === undefined) return wanted;
    const router = new Router(this.adminRoutes(config.admin, policies));
    const hosts = new HostPatterns(config.admin.hosts);
    const pages = this.pipeline({ router, hosts, policies, headers: [] }, undefined);
    const { listen: address, mode, owner, group } = config.admin;
    const listen = { address, engine: 'node', mode, owner, group } as const;
    return [...wanted, { listen, admin: true, serve: pages.serve }];
  }

  /** What was asked for last by `of` is in force from now on. */
  commit(): void {
    const { page, nextPage } = this;
    this.page = nextPage;
    if (page !== nextPage) page?.handler.retire('the configuration has changed');
  }

  /** Whoever looks at the status is told to leave. */
  retire(reason: string): void {
    this.page?.handler.retire(reason);
  }

  private statusHandler(admin: AdminConfig): Handler {
    const { actions, auth } = admin;
    const madeFrom = { actions, auth };
    this.nextPage =
      this.page !== undefined && same(this.page.madeFrom, madeFrom)
        ? this.page
        : // Its listener sees to the hosts.
          { handler: this.parts.status.handler({ actions, hosts: undefined }), madeFrom };
    return this.nextPage.handler;
  }

  /** The one that is configured, or else the first TLS listener's, which is bound by the time that somebody asks. */
  private target({ scheme, port }: Redirect): RedirectTarget {
    return { scheme, port: () => port ?? this.parts.securePort() ?? 443 };
  }

  private pipeline(
    parts: Pick<PipelineParts, 'router' | 'hosts' | 'policies' | 'headers'>,
    requestLog: RequestLog | undefined,
  ): Pipeline {
    const { busyLog, nextId, parts: mine } = this;
    const { log, tallies, routes: latest } = mine;
    return new Pipeline({ ...parts, latest, log, tallies, busyLog, requestLog, nextId });
  }

  private adminRoutes(admin: AdminConfig, policies: Policies): RouteEntry<Route>[] {
    const { certificates, maintenance } = this.parts;
    const built = policies.ofOperator(admin);
    const open = policies.ofNobody();
    const route = (key: string, handler: Handler, rules: BuiltPolicies = built, name = key): RouteEntry<Route> => ({
      key,
      value: { key: name, handler, headers: [], ...rules },
    });
    return [
      // Under a name that no route of the configuration has.
      route('/', this.statusHandler(admin), built, 'status'),
      route('/metrics', metricsHandler(this.metrics)),
      route('/healthz', healthHandler(), open),
      route(
        '/readyz',
        readyHandler(() => [...certificates.states(Date.now()), ...maintenance.states()], built.auth.on),
        open,
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
