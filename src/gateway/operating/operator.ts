/** The gateway as its operator sees it: gathers what each part tells of itself, and does what he asks for. Nothing of it runs while nobody looks. */
import { getHeapStatistics } from 'node:v8';
import { formatPath } from '../../config/reading/problems.ts';
import { listeningUrl } from '../../engine/door/listening.ts';
import type { Handler } from '../../http/handler.ts';
import type { Log } from '../../ops/log.ts';
import type {
  Action,
  ActionResult,
  GatewayStatus,
  ListenerStatus,
  Operator,
  ProgramStatus,
  ReloadStatus,
  RouteStatus,
  StreamStatus,
} from '../../ops/status.ts';
import { ownPageSize, processUsage } from '../../ops/system/process-usage.ts';
import { residentBytes } from '../../ops/system/resident.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { visible } from '../../ops/visible.ts';
import type { Programs } from '../../process/programs.ts';
import type { Certificates } from '../../tls/serving/certificates.ts';
import { type Config, everyRoute } from '../config.ts';
import type { OpenListener } from '../listeners.ts';
import type { RouteTable } from '../routes.ts';
import { grouped, requestCounts, statusesByRoute, timesByRoute, totalsOf } from './counted.ts';
import type { Maintenance } from './maintenance.ts';
import { Samples } from './samples.ts';

/** Programs that are shown, and of which /proc is asked at one time: the next ones the next time. */
const MOST_PROGRAMS = 100;
const MOST_ASKED = 40;
/** Lines of stderr that are shown, and characters of each. */
const WORDS = 3;
const LONGEST_WORDS = 300;
/** Errors and warnings that are shown. */
const TROUBLE = 20;

export interface OperatorParts {
  readonly log: Log;
  readonly version: string;
  readonly tallies: Tallies;
  readonly programs: Programs;
  readonly certificates: Certificates;
  readonly maintenance: Maintenance;
  /** Bytes that the gateway may use; undefined for no known bound. */
  readonly memoryLimit: number | undefined;
  /** The configuration file. */
  readonly file: string | undefined;
  /** What is in force. */
  built(): { readonly config: Config; readonly routes: RouteTable };
  listeners(): readonly OpenListener[];
  reload(): Promise<void>;
  lastReload(): ReloadStatus | undefined;
  stopping(): boolean;
}

/** Those of the operator's own listener. */
const OWN_ROUTES: ReadonlySet<string> = new Set(['status', '/metrics', '/healthz', '/readyz']);

type Usage = Pick<ProgramStatus, 'processor' | 'resident'>;

export class GatewayOperator implements Operator {
  readonly samples: Samples;
  private readonly started = Date.now();
  private readonly pageSize = ownPageSize();
  /** What /proc said when it was asked last, by process number, and with which it was asked first then. */
  private usages = new Map<number, Usage>();
  private turn = 0;

  constructor(private readonly parts: OperatorParts) {
    this.samples = new Samples({
      totals: () => totalsOf(parts.tallies),
      requestsByRoute: () => requestCounts(parts.tallies),
    });
  }

  /** Other listeners are open, or may be. */
  listenersChanged(): void {
    const open = this.parts.listeners().filter(({ admin }) => !admin);
    this.parts.maintenance.keep(open.map(({ listening }) => listening.name));
  }

  status(): GatewayStatus {
    const {
      version,
      tallies,
      log,
      memoryLimit: limit,
      file,
      lastReload,
      maintenance,
      certificates,
      stopping,
    } = this.parts;
    const { config } = this.parts.built();
    const now = Date.now();
    const states = [...certificates.states(now), ...maintenance.states()];
    const notReady = states.filter(({ ready }) => !ready).map(({ text }) => text);
    // The control socket answers until the end.
    if (stopping()) notReady.push('the gateway is stopping');
    const { used_heap_size: heap } = getHeapStatistics();
    return {
      ...{ now, version, node: process.version, pid: process.pid, started: this.started },
      ready: notReady.length === 0,
      notReady,
      configuration: { file, loaded: tallies.lastReloadSuccess.series().value * 1000, reload: lastReload() },
      memory: { resident: residentBytes() || 0, heap, limit },
      programsMax: config.processes.max,
      connectionsMax: config.connections.max,
      logDropped: log.dropped,
      totals: totalsOf(tallies),
      listeners: this.listeners(now),
      routes: this.routes(config),
      streams: this.streams(config),
      programs: this.programs(),
      failures: this.failures(),
      trouble: log.trouble.newest(TROUBLE),
      hour: this.samples.hour(),
    };
  }

  async act(action: Action, by: string): Promise<ActionResult> {
    const { log } = this.parts;
    const { action: what, ...about } = action;
    log.info(`operator: ${what}`, { by, ...about });
    const result = await this.perform(action);
    if (!result.ok) log.warn(`operator: ${what} did not succeed: ${result.text}`, { by, ...about });
    return result;
  }

  private async perform(action: Action): Promise<ActionResult> {
    switch (action.action) {
      case 'reload':
        return await this.reload();
      case 'restart': {
        const route = this.parts.programs.endByNumber(action.pid);
        if (route === undefined) return { ok: false, text: `no program has the number ${action.pid} any more` };
        return { ok: true, text: `program ${action.pid} is being ended; ${route} starts it again by its own rule` };
      }
      case 'end-client': {
        const { route, client } = action;
        // Routes of two kinds may have one key.
        const ended = [...this.handlers()].some(({ key, handler }) => key === route && handler.endClient?.(client));
        return ended
          ? { ok: true, text: `the connection ${client} of ${route} is being ended` }
          : { ok: false, text: `${route} has no connection ${client} any more` };
      }
      case 'maintenance': {
        const { listener, down } = action;
        if (!this.parts.listeners().some(({ listening, admin }) => !admin && listening.name === listener))
          return { ok: false, text: `there is no listener ${listener}` };
        this.parts.maintenance.set(listener, down);
        const text = down
          ? `${listener} is down for maintenance: /readyz says no, and connections are served as before`
          : `${listener} is up again`;
        return { ok: true, text };
      }
    }
  }

  private async reload(): Promise<ActionResult> {
    await this.parts.reload();
    const result = this.parts.lastReload();
    if (result === undefined)
      return { ok: true, text: 'the certificates were read again; the gateway runs without a file' };
    return { ok: result.ok, text: result.ok ? 'the configuration is reloaded' : `not reloaded: ${result.why ?? ''}` };
  }

  // ---- what is shown ----

  private listeners(now: number): readonly ListenerStatus[] {
    const { tallies, certificates, maintenance, listeners } = this.parts;
    const overLimit = grouped(tallies.connectionsRefused);
    return listeners().map(({ listening, admin }) => {
      const { name, secure, engine } = listening;
      const limited = Object.values(overLimit.get(name) ?? {});
      return {
        ...{ name, url: listeningUrl(listening), engine, secure, admin },
        connections: admin ? undefined : tallies.connections.get(name),
        refused: limited.reduce((sum, count) => sum + count, tallies.refused.get(name)),
        down: maintenance.isDown(name),
        certificates: secure ? certificates.of(name, now) : [],
      };
    });
  }

  private routes(config: Config): readonly RouteStatus[] {
    const { tallies } = this.parts;
    const requests = requestCounts(tallies);
    const rates = this.samples.rates(requests);
    const [statuses, times] = [statusesByRoute(tallies), timesByRoute(tallies)];
    const [refused, busy] = [grouped(tallies.policyRefused), grouped(tallies.busy)];
    const keys = everyRoute(config).map(({ kind, key }) => ({ kind: kind.name as string, key }));
    // What no route serves, and what the gateway serves by itself, where somebody has asked for it.
    const known = new Set(keys.map(({ key }) => key));
    const others = [...requests.keys()]
      .filter((key) => !known.has(key) && !OWN_ROUTES.has(key))
      .map((key) => ({ kind: '', key }));
    return [...keys, ...others].map(({ kind, key }) => ({
      ...{ key, kind, requests: requests.get(key) ?? 0, statuses: statuses.get(key) ?? {} },
      rate: Number((rates.get(key) ?? 0).toPrecision(3)),
      time: times.get(key),
      aborted: tallies.aborted.get(key),
      bytesIn: tallies.bodyBytes.get(key, 'in'),
      bytesOut: tallies.bodyBytes.get(key, 'out'),
      refused: { ...refused.get(key), ...busy.get(key) },
    }));
  }

  private streams(config: Config): readonly StreamStatus[] {
    const { tallies } = this.parts;
    const dropped = grouped(tallies.dropped);
    const found: StreamStatus[] = [];
    const keys = new Set(everyRoute(config).map(({ key }) => key));
    for (const { key, handler } of this.handlers()) {
      const { stream } = keys.has(key) ? (handler.status?.() ?? {}) : {};
      if (stream === undefined) continue;
      found.push({
        ...{ key, ...stream },
        messagesIn: tallies.messages.get(key, 'in'),
        messagesOut: tallies.messages.get(key, 'out'),
        bytesOut: tallies.messageBytes.get(key, 'out'),
        dropped: dropped.get(key) ?? {},
      });
    }
    return found;
  }

  private *handlers(): Iterable<{ readonly key: string; readonly handler: Handler }> {
    const { config, routes } = this.parts.built();
    for (const { kind, key } of everyRoute(config)) {
      const handler = routes.built.get(formatPath([kind.name, key]))?.handler;
      if (handler !== undefined) yield { key, handler };
    }
  }

  private programs(): readonly ProgramStatus[] {
    const list = this.parts.programs.list().slice(0, MOST_PROGRAMS);
    const usages = new Map<number, Usage>();
    // Round and round, so that a look costs the same however many there are.
    const asked = new Set(Array.from({ length: MOST_ASKED }, (_, at) => (this.turn + at) % Math.max(1, list.length)));
    this.turn = (this.turn + MOST_ASKED) % Math.max(1, list.length);
    for (const [at, { pid }] of list.entries()) {
      const known = this.usages.get(pid);
      if (known === undefined || asked.has(at)) {
        const usage = processUsage(pid, this.pageSize);
        usages.set(pid, { processor: usage?.processor, resident: usage?.resident });
      } else usages.set(pid, known);
    }
    this.usages = usages;
    return list.map(({ owner, pid, since, ending, words }) => ({
      ...{ route: owner, pid, since, ending, words: shown(words) },
      ...{ processor: usages.get(pid)?.processor, resident: usages.get(pid)?.resident },
    }));
  }

  private failures(): GatewayStatus['failures'] {
    return this.parts.programs.lastFailures().map(({ owner, pid, time, exit, words }) => ({
      ...{ route: owner, pid, time, words: shown(words) },
      how: exit.signal === undefined ? `exit ${exit.code}` : `signal ${exit.signal}`,
    }));
  }
}

function shown(words: readonly string[]): readonly string[] {
  return words
    .slice(-WORDS)
    .map((line) => visible(line.length > LONGEST_WORDS ? `${line.slice(0, LONGEST_WORDS)} …` : line));
}
