/**
 * What the gateway counts while it works: plain numbers, cheap enough for every request and message. `metrics.ts` shows
 * them to Prometheus when somebody asks; labels come from the configuration or from short fixed lists, never from a request.
 */

export type Labels = { readonly [name: string]: string };

/** One number of a family. Whoever counts often keeps it, instead of looking it up each time. */
export interface Series {
  readonly labels: Labels;
  value: number;
}

/** A family of numbers that tells its series apart by labels. */
export class Tally<const Names extends readonly string[]> {
  /** By the first label's value, then by the second's …: strings that are there already, so nothing is put together to look one up. */
  private readonly root: Branch = new Map();
  /** The one that was asked for last: mostly it is asked for again. */
  private last: Series | undefined;
  private lastValues: readonly string[] = [];

  constructor(
    readonly name: string,
    readonly kind: 'counter' | 'gauge',
    readonly help: string,
    readonly labelNames: Names,
  ) {}

  /** The series with these label values, in the order of `labelNames`; made, with 0, when there is none yet. */
  series(...values: { [K in keyof Names]: string }): Series {
    if (this.last !== undefined && isSame(this.lastValues, values)) return this.last;
    const found = this.find(values);
    this.last = found;
    this.lastValues = values;
    return found;
  }

  private find(values: readonly string[]): Series {
    let branch = this.root;
    const last = values.length - 1;
    for (let at = 0; at < last; at++) {
      const value = values[at] ?? '';
      let next = branch.get(value);
      if (!(next instanceof Map)) {
        next = new Map();
        branch.set(value, next);
      }
      branch = next;
    }
    const known = branch.get(values[last] ?? '');
    if (known !== undefined && !(known instanceof Map)) return known;
    const labels = Object.fromEntries(this.labelNames.map((name, at) => [name, values[at] ?? '']));
    const made: Series = { labels, value: 0 };
    branch.set(values[last] ?? '', made);
    return made;
  }

  add(amount: number, ...values: { [K in keyof Names]: string }): void {
    this.series(...values).value += amount;
  }

  /** A gauge of something that is there no more. */
  remove(...values: { [K in keyof Names]: string }): void {
    this.last = undefined;
    this.branchOf(values)?.delete(values.at(-1) ?? '');
  }

  /** The value of one member, 0 before the first `add`. */
  get(...values: { [K in keyof Names]: string }): number {
    const found = this.branchOf(values)?.get(values.at(-1) ?? '');
    return found === undefined || found instanceof Map ? 0 : found.value;
  }

  allSeries(): IterableIterator<Readonly<Series>> {
    return leaves(this.root);
  }

  private branchOf(values: readonly string[]): Branch | undefined {
    let branch: Branch = this.root;
    for (const value of values.slice(0, -1)) {
      const next = branch.get(value);
      if (!(next instanceof Map)) return undefined;
      branch = next;
    }
    return branch;
  }
}

type Branch = Map<string, Branch | Series>;

function isSame(some: readonly string[], others: readonly string[]): boolean {
  for (let at = 0; at < others.length; at++) if (some[at] !== others[at]) return false;
  return true;
}

function* leaves(branch: Branch): IterableIterator<Readonly<Series>> {
  for (const next of branch.values()) {
    if (next instanceof Map) yield* leaves(next);
    else yield next;
  }
}

const KNOWN_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** A method as a label: methods are the client's to invent, labels are not. */
export function methodLabel(method: string): string {
  return KNOWN_METHODS.has(method) ? method : 'other';
}

/** Every count of one gateway. */
export class Tallies {
  readonly requests = new Tally('runnel_http_requests_total', 'counter', 'Requests answered, upgrades included.', [
    'route',
    'method',
    'code',
  ]);
  readonly refused = new Tally(
    'runnel_http_refused_total',
    'counter',
    'Malformed requests, and connections without their PROXY preface, that an engine answered or dropped by itself.',
    ['listener'],
  );
  readonly aborted = new Tally(
    'runnel_http_aborted_total',
    'counter',
    'Requests whose client left before the answer was complete.',
    ['route'],
  );
  readonly bodyBytes = new Tally(
    'runnel_http_body_bytes_total',
    'counter',
    'Bytes of request bodies (in) and reply bodies (out).',
    ['route', 'direction'],
  );
  readonly policyRefused = new Tally(
    'runnel_policy_refused_total',
    'counter',
    'Requests that a policy refused, by policy: host, origin, preflight, auth, logins (too many wrong ones), rate, upgrade_rate.',
    ['route', 'policy'],
  );
  readonly forgeries = new Tally(
    'runnel_forged_users_total',
    'counter',
    'Requests that name a user as a proxy would (auth.proxy_user), and are not believed, by reason: proxy (not from a trusted one, or without its secret), secret (a wrong one).',
    ['reason'],
  );
  readonly connectionsRefused = new Tally(
    'runnel_connections_refused_total',
    'counter',
    'Connections that were refused because a limit was reached, by limit: max, address.',
    ['listener', 'limit'],
  );
  readonly connections = new Tally('runnel_connections', 'gauge', 'Open connections, WebSockets included.', [
    'listener',
  ]);

  readonly certificateExpiry = new Tally(
    'runnel_tls_certificate_expiry_seconds',
    'gauge',
    'When a certificate (or the first of its chain) expires, in seconds since 1970.',
    ['listener', 'name'],
  );
  readonly certificateReloads = new Tally(
    'runnel_tls_certificate_reloads_total',
    'counter',
    'Reloads of certificates, by result: ok, failed.',
    ['listener', 'result'],
  );
  readonly reloads = new Tally(
    'runnel_config_reloads_total',
    'counter',
    'Reloads of the configuration, by result: ok, failed (the one before stays).',
    ['result'],
  );
  readonly lastReload = new Tally(
    'runnel_config_last_reload_successful',
    'gauge',
    'Whether the last reload of the configuration succeeded; 1 when there was none.',
    [],
  );
  readonly lastReloadSuccess = new Tally(
    'runnel_config_last_reload_success_timestamp_seconds',
    'gauge',
    'When the configuration that is in force was read, in seconds since 1970.',
    [],
  );
  readonly busy = new Tally(
    'runnel_busy_total',
    'counter',
    'Requests refused with 503 because the route was busy: the queue was full, or the wait too long (timeout).',
    ['route', 'reason'],
  );

  readonly clients = new Tally('runnel_stream_clients', 'gauge', 'Clients that a stream has now.', ['route']);
  readonly clientsJoined = new Tally('runnel_stream_clients_total', 'counter', 'Clients that have joined a stream.', [
    'route',
    'transport',
  ]);
  readonly streamsClosed = new Tally(
    'runnel_stream_closed_total',
    'counter',
    'Clients that have left or were closed, by close code.',
    ['route', 'code'],
  );
  readonly messages = new Tally(
    'runnel_stream_messages_total',
    'counter',
    'Messages from clients (in) and to clients (out).',
    ['route', 'direction'],
  );
  readonly messageBytes = new Tally(
    'runnel_stream_message_bytes_total',
    'counter',
    'Bytes of messages from clients (in) and to clients (out).',
    ['route', 'direction'],
  );
  readonly dropped = new Tally('runnel_dropped_total', 'counter', 'What was dropped, by reason.', ['route', 'reason']);

  readonly polls = new Tally(
    'runnel_polls_total',
    'counter',
    'Times that the source of a polled stream was asked, by outcome: news, same, error.',
    ['route', 'outcome'],
  );

  readonly processes = new Tally('runnel_processes', 'gauge', 'Programs that run now.', ['route']);
  readonly processesStarted = new Tally('runnel_processes_started_total', 'counter', 'Programs that were started.', [
    'route',
  ]);
  readonly processesEnded = new Tally(
    'runnel_processes_ended_total',
    'counter',
    'Programs that have ended, by reason: ok, failed, signal, ended (by us).',
    ['route', 'reason'],
  );
  readonly processesRefused = new Tally(
    'runnel_processes_refused_total',
    'counter',
    'Programs that could not be started, by reason.',
    ['route', 'reason'],
  );

  readonly connects = new Tally(
    'runnel_connects_total',
    'counter',
    'Connections to the server behind a stream, by outcome: connected, refused, unreachable, unresolved, timeout, certificate, max, left, failed; with subscribe also closed (too early), invalid (not what it should speak), status, login, type (an answer that is no stream), ended (for good).',
    ['route', 'outcome'],
  );
  readonly subscriptions = new Tally(
    'runnel_subscriptions',
    'gauge',
    'Connections that streams with subscribe have now.',
    ['route'],
  );
  readonly subscriptionsEnded = new Tally(
    'runnel_subscriptions_ended_total',
    'counter',
    'Connections of streams with subscribe that were lost, by reason: ended (by the upstream), silent, closed (too early), timeout, invalid.',
    ['route', 'reason'],
  );

  readonly upstreamRequests = new Tally(
    'runnel_upstream_requests_total',
    'counter',
    'Requests for the server behind a proxy route, by outcome: answered; refused, unreachable, unresolved, timeout, certificate, failed (no connection, or no answer in time), closed (too early), invalid (not HTTP, or unclear), busy, left, loop.',
    ['route', 'outcome'],
  );

  /** Every tally, for the exposition. */
  *all(): IterableIterator<Tally<readonly string[]>> {
    for (const value of Object.values(this)) if (value instanceof Tally) yield value;
  }
}
