/** What is written of each request when it is over: in which words, and whether at all. */
import type { Exchange, SocketRecord } from '../../engine/engine.ts';
import { hideValues } from '../../net/query.ts';
import { traceIdOf } from '../../net/tracing.ts';
import type { Log, LogFields } from '../../ops/log.ts';
import type { RequestRecord } from '../../ops/logging/request-line.ts';
import type { Tallies } from '../../ops/tallies.ts';
import type { ClientRequest } from '../../policy/addresses.ts';
import { attemptedName } from '../../policy/auth/attempted-name.ts';
import type { User } from '../../policy/auth/auth.ts';
import { asAscii } from '../../routing/canonical-path.ts';

/** A request that is over, or has become a WebSocket. */
export interface RequestFacts {
  readonly exchange: Exchange;
  readonly request: ClientRequest;
  readonly user: User | undefined;
  readonly id: string;
  readonly redirects: number;
  /** Milliseconds of `performance.now()`. */
  readonly started: number;
  readonly routeName: string;
  /** The client left before it was over. */
  readonly gone: boolean;
  /** It took as long as the client stayed. */
  readonly lasting: boolean;
  readonly notes: { readonly [key: string]: string | number } | undefined;
}

export interface RequestLogOptions {
  /** Of how many healthy requests one gets a line. */
  readonly sample: number;
  /** Milliseconds from which on a request is slow. */
  readonly slow: number;
}

export class RequestLog {
  private skipped = 0;

  constructor(
    private readonly log: Log,
    private readonly tallies: Pick<Tallies, 'unlogged'>,
    private readonly options: RequestLogOptions,
  ) {}

  /** @param now milliseconds of `performance.now()` */
  over(facts: RequestFacts, status: number, received: number, sent: number, now: number): void {
    const ms = now - facts.started;
    const isHealthy =
      status < 400 && (facts.lasting || ms < this.options.slow) && !facts.gone && facts.notes?.['cut'] === undefined;
    if (!this.leavesOut(isHealthy)) this.log.request(this.record(facts, isHealthy, { status, received, sent, ms }));
  }

  /** What writes the line of a WebSocket when that is over. Where requests are told among everything else, its beginning is told, too. */
  socket(facts: RequestFacts): SocketRecord {
    const record = this.record(facts, true, { status: 101, received: 0, sent: 0, ms: 0 });
    if (this.log.hasRequests && this.options.sample === 1) {
      const { route, client, user, id } = record;
      this.log.info(`${record.target} opened`, { route, client, user, id });
    }
    return new SocketLine(this, record, facts.started);
  }

  /** @param isHealthy whether it ended as it should */
  socketOver(record: RequestRecord, isHealthy: boolean): void {
    if (!this.leavesOut(isHealthy)) this.log.request(record);
  }

  /** Whether this one is among those that the sample leaves out. */
  private leavesOut(isHealthy: boolean): boolean {
    const { sample } = this.options;
    if (sample === 1 || !isHealthy) return false;
    this.skipped = (this.skipped + 1) % sample;
    if (this.skipped === 0) return false;
    this.tallies.unlogged.series().value++;
    return true;
  }

  private record(
    facts: RequestFacts,
    isHealthy: boolean,
    outcome: { readonly status: number; readonly received: number; readonly sent: number; readonly ms: number },
  ): RequestRecord {
    const { exchange, user, gone } = facts;
    const asked = facts.redirects === 0 ? facts.request : exchange.request;
    const { path, query } = asked;
    let host: string | undefined;
    let referer: string | undefined;
    let agent: string | undefined;
    let trace: string | undefined;
    for (const [name, value] of exchange.request.headers) {
      if (name === 'host') host ??= value;
      else if (name === 'referer') referer ??= shownReference(value);
      else if (name === 'user-agent') agent ??= value;
      else if (name === 'traceparent') trace ??= traceIdOf(value);
    }
    const { status, received, sent, ms } = outcome;
    return {
      method: exchange.request.method,
      target: asAscii(query === undefined ? path : `${path}?${shown(query)}`),
      version: asked.version,
      status,
      bytes: sent,
      received,
      ms,
      route: facts.routeName,
      client: facts.request.remoteAddress,
      user: user?.name,
      login: status === 401 && user === undefined ? attemptedName(exchange.request.headers) : undefined,
      id: facts.id,
      left: gone,
      host,
      referer,
      agent,
      trace,
      sample: isHealthy && this.options.sample > 1 ? this.options.sample : undefined,
      notes: facts.notes,
    };
  }
}

/** Close codes of a WebSocket that ended as it should: said so, gone elsewhere, no code. */
const GOOD_CODES: ReadonlySet<number> = new Set([1000, 1001, 1005]);

/**
 * What a WebSocket's line needs, kept as long as that lives: one text, because its parts would hold the whole head of the request
 * that they were cut out of.
 */
class SocketLine implements SocketRecord {
  private readonly kept: string;

  constructor(
    private readonly requests: RequestLog,
    record: RequestRecord,
    private readonly started: number,
  ) {
    this.kept = JSON.stringify(record);
  }

  over(code: number, reason: string, received: number, sent: number): void {
    this.write(101, received, sent, { code, reason: reason === '' ? undefined : reason }, GOOD_CODES.has(code));
  }

  cancelled(): void {
    this.write(499, 0, 0, { left: true }, false);
  }

  private write(status: number, received: number, bytes: number, more: LogFields, isHealthy: boolean): void {
    const record: RequestRecord = JSON.parse(this.kept);
    const ms = performance.now() - this.started;
    const notes = { ...record.notes, ...more };
    const sample = isHealthy ? record.sample : undefined;
    this.requests.socketOver({ ...record, status, received, bytes, ms, notes, sample }, isHealthy);
  }
}

/** Ends of the names of parameters that the log does not show the values of: tokens (RFC 6750 section 5.3), sessions, passwords. */
const SECRET = /(?:token|session(?:[_-]?id)?|passw(?:or)?d|secret|api[_-]?key|jwt)$/i;

/** A query for the log. */
function shown(query: string): string {
  return /tok|sess|pass|secret|key|jwt|%/i.test(query) ? hideValues(query, SECRET) : query;
}

/** The same for a URL. */
function shownReference(url: string): string {
  const at = url.search(/[?#]/) + 1;
  return at === 0 ? url : url.slice(0, at) + shown(url.slice(at));
}
