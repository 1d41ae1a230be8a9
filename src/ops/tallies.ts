/**
 * What the gateway counts while it works: plain numbers, cheap enough for every request and message. Each is declared here once, with
 * all that is said about it: `/metrics` and docs/metrics.md are made of these declarations. Label values come from the configuration or
 * from a fixed list, never from a request.
 */
import { CompressionTallies } from './metrics/compression-tallies.ts';
import { CONNECT_FAILURES, LATE_FAILURES } from './metrics/connect-failures.ts';
import { DROP_REASONS } from './metrics/drop-reasons.ts';
import type { AnyFamily } from './metrics/exposition.ts';
import { Family, type Label, type LabelList, label, openLabel } from './metrics/family.ts';
import { Histogram } from './metrics/histogram.ts';
import { HistoryTallies } from './metrics/history-tallies.ts';
import { counter, gauge } from './metrics/tally.ts';

const KNOWN_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** A method as a label: methods are the client's to invent, labels are not. */
export function methodLabel(method: string): string {
  return KNOWN_METHODS.has(method) ? method : 'other';
}

const ROUTE = openLabel('route', 'The key of the route as configured; "-" where no route was found');
const STREAM = openLabel('route', 'The key of the stream as configured');
const LISTENER = openLabel('listener', 'The address of the listener as configured');

const DIRECTION = label('direction', 'Which way', { in: 'from clients', out: 'to clients' });

/** Seconds. From a file of the cache to a download, in steps that tell apart what people notice. */
const REQUEST_BOUNDS = [0.0005, 0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5, 30];
/** Seconds. From a message to one viewer to a viewer that is close to being disconnected. */
const DELIVERY_BOUNDS = [0.0001, 0.0005, 0.002, 0.01, 0.05, 0.25, 1, 5, 30];
/** Seconds. From a small program in memory to one that is read from an SD card under load. */
const START_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5];

const CLASSES = ['other', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** A status as a label of few values. */
export function statusClass(status: number): (typeof CLASSES)[number] {
  return CLASSES[Math.floor(status / 100)] ?? 'other';
}

/** Every count of one gateway. */
export class Tallies {
  readonly requests = counter({
    name: 'runnel_http_requests_total',
    help: 'Requests answered, upgrades included.',
    labels: [
      ROUTE,
      openLabel('method', `The method: ${[...KNOWN_METHODS].join(', ')}; "other" for every other one`),
      openLabel('code', 'The status code of the answer; 499 if the client left before it'),
    ],
  });
  readonly requestTimes = new Histogram({
    name: 'runnel_http_request_duration_seconds',
    help: 'The time from reading the head of a request until the connection has taken the whole answer. For upgrades and endless answers: until they begin. Immediate answers, such as a file from memory, count as 0. Long-polls, which wait for news, are left out.',
    labels: [
      ROUTE,
      label('class', 'The class of the status', {
        '1xx': 'an upgrade to WebSocket',
        '2xx': 'success',
        '3xx': 'a redirect, or "not modified"',
        '4xx': 'an error of the client, or it has left (499)',
        '5xx': 'an error of the gateway, a program or an upstream',
        other: 'another status, of a program or an upstream',
      }),
    ],
    bounds: REQUEST_BOUNDS,
  });
  readonly refused = counter({
    name: 'runnel_http_refused_total',
    help: 'Malformed requests, and connections without their PROXY preface, that an engine answered or dropped by itself.',
    labels: [LISTENER],
  });
  readonly aborted = counter({
    name: 'runnel_http_aborted_total',
    help: 'Requests whose client left before the answer was complete.',
    labels: [ROUTE],
  });
  readonly bodyBytes = counter({
    name: 'runnel_http_body_bytes_total',
    help: 'Bytes of the bodies of requests and replies.',
    labels: [ROUTE, DIRECTION],
  });
  readonly policyRefused = counter({
    name: 'runnel_policy_refused_total',
    help: 'Requests that a policy refused.',
    labels: [
      ROUTE,
      label('policy', 'Which policy', {
        host: 'listen.hosts',
        origin: 'a page of another origin',
        preflight: 'a preflight of an origin that cors.origins does not list',
        auth: 'no or wrong credentials',
        logins: 'too many wrong credentials',
        rate: 'too many requests',
        upgrade_rate: 'too many upgrades',
      }),
    ],
  });
  readonly forgeries = counter({
    name: 'runnel_forged_users_total',
    help: 'Requests that name a user as a proxy would (auth.proxy_user), and are not believed.',
    labels: [
      label('reason', 'Why not', {
        proxy: 'it does not come from a trusted proxy, or has no secret',
        secret: 'the secret is wrong',
      }),
    ],
  });
  readonly connectionsRefused = counter({
    name: 'runnel_connections_refused_total',
    help: 'Connections that were refused because a limit was reached.',
    labels: [
      LISTENER,
      label('limit', 'Which limit', { max: 'connections.max', address: 'connections.max_per_address' }),
    ],
  });
  readonly connections = gauge({
    name: 'runnel_connections',
    help: 'Open connections, WebSockets included.',
    labels: [LISTENER],
  });

  readonly certificateExpiry = gauge({
    name: 'runnel_tls_certificate_expiry_timestamp_seconds',
    help: 'When a certificate (or the first of its chain) expires, in seconds since 1970.',
    labels: [LISTENER, openLabel('name', 'The first name of the certificate')],
  });
  readonly certificateReloads = counter({
    name: 'runnel_tls_certificate_reloads_total',
    help: 'Reloads of certificates.',
    labels: [LISTENER, label('result', 'The result', { ok: 'it is served', failed: 'the one before stays' })],
  });
  readonly reloads = counter({
    name: 'runnel_config_reloads_total',
    help: 'Reloads of the configuration.',
    labels: [label('result', 'The result', { ok: 'it is in force', failed: 'the one before stays' })],
  });
  readonly lastReload = gauge({
    name: 'runnel_config_last_reload_successful',
    help: 'Whether the last reload of the configuration succeeded; 1 when there was none.',
    labels: [],
  });
  readonly lastReloadSuccess = gauge({
    name: 'runnel_config_last_reload_success_timestamp_seconds',
    help: 'When the configuration that is in force was read, in seconds since 1970.',
    labels: [],
  });
  readonly busy = counter({
    name: 'runnel_busy_total',
    help: 'Requests refused with 503 because the route was busy.',
    labels: [
      ROUTE,
      label('reason', 'Why', {
        full: 'the queue was full',
        timeout: 'it waited too long in the queue',
        closed: 'the route was being closed',
        limit: 'a limit of the configuration was reached: clients, programs or connections',
      }),
    ],
  });

  readonly unlogged = counter({
    name: 'runnel_log_requests_left_out_total',
    help: 'Successful requests without a line in the log, because of log.requests.sample.',
    labels: [],
  });

  readonly compression = new CompressionTallies();

  readonly clients = gauge({
    name: 'runnel_stream_clients',
    help: 'Clients that a stream has now.',
    labels: [STREAM],
  });
  readonly clientsJoined = counter({
    name: 'runnel_stream_clients_joined_total',
    help: 'Clients that have joined a stream.',
    labels: [
      STREAM,
      label('transport', 'How they get messages', {
        websocket: 'by WebSocket',
        events: 'by event stream',
        plain: 'by an endless plain response',
        poll: 'by long-poll; each wait is one',
        parts: 'by multipart/x-mixed-replace, as an <img> does',
        last: 'by a request that waits for the first message (transport=last)',
      }),
    ],
  });
  readonly streamsClosed = counter({
    name: 'runnel_stream_closed_total',
    help: 'Clients that have left or were closed, by close code.',
    labels: [
      STREAM,
      openLabel(
        'code',
        'The close code of RFC 6455, 1000 to 1015; "3xxx" and "4xxx" for ranges that applications use, else "other"',
      ),
    ],
  });
  readonly messages = counter({
    name: 'runnel_stream_messages_total',
    help: 'Messages of streams; one to a thousand clients counts a thousand times.',
    labels: [STREAM, DIRECTION],
  });
  readonly messageBytes = counter({
    name: 'runnel_stream_message_bytes_total',
    help: 'Bytes of messages of streams, without their frames.',
    labels: [STREAM, DIRECTION],
  });
  readonly deliveryTimes = new Histogram({
    name: 'runnel_stream_delivery_seconds',
    help: 'Of shared streams: the time from reading a message from the source until the socket of a viewer has taken it. One read counts once for the last viewer that keeps up. Viewers that are behind count separately.',
    labels: [
      STREAM,
      label('viewers', 'Whose', { prompt: 'all that keep up, the last of them', behind: 'one that has to catch up' }),
    ],
    bounds: DELIVERY_BOUNDS,
  });
  readonly published = counter({
    name: 'runnel_stream_published_total',
    help: 'Messages that were published to streams with publish.',
    labels: [
      STREAM,
      label('way', 'How they came', {
        post: 'by a POST, one message each',
        websocket: 'over a WebSocket',
        body: 'in the body of a live writer',
      }),
    ],
  });
  readonly writers = gauge({
    name: 'runnel_stream_writers',
    help: 'Live writers of streams with publish now.',
    labels: [STREAM],
  });
  readonly writersEnded = counter({
    name: 'runnel_stream_writers_ended_total',
    help: 'Live writers that have ended.',
    labels: [
      STREAM,
      label('reason', 'How', {
        ended: 'its data has ended in good order',
        left: 'its connection was lost',
        idle: 'it sent nothing for publish.idle_timeout',
        too_large: 'it sent a message that is larger than max_message',
        invalid: 'its data ended inside of a message',
        stopped: 'the gateway stops, or its configuration has changed',
      }),
    ],
  });
  readonly dropped = counter({
    name: 'runnel_dropped_total',
    help: 'Dropped messages of streams, clients and answers.',
    labels: [ROUTE, label('reason', 'Why', DROP_REASONS)],
  });

  readonly history = new HistoryTallies();

  readonly polls = counter({
    name: 'runnel_polls_total',
    help: 'Times that the source of a polled stream was asked.',
    labels: [
      STREAM,
      label('outcome', 'The result', {
        news: 'something new',
        same: 'the same as before',
        error: 'an error',
      }),
    ],
  });

  readonly processes = gauge({ name: 'runnel_processes', help: 'Programs that run now.', labels: [ROUTE] });
  readonly processesStarted = counter({
    name: 'runnel_processes_started_total',
    help: 'Programs that were started.',
    labels: [ROUTE],
  });
  readonly startTimes = new Histogram({
    name: 'runnel_process_start_seconds',
    help: 'The time from the order to start a program until the gateway knows that it runs. Failed starts are left out. For a CGI program the gateway knows at its end, or after 4 ms (20 if several run). So up to that may be the time of the program.',
    labels: [ROUTE],
    bounds: START_BOUNDS,
  });
  readonly processesEnded = counter({
    name: 'runnel_processes_ended_total',
    help: 'Programs that have ended.',
    labels: [
      ROUTE,
      label('reason', 'How', {
        ok: 'by itself, with status 0',
        failed: 'by itself, with another status',
        signal: 'by a signal that the gateway did not send',
        ended: 'the gateway ended it',
        abandoned: 'it hangs in the kernel although KILL was sent',
      }),
    ],
  });
  readonly processesRefused = counter({
    name: 'runnel_processes_refused_total',
    help: 'Programs that could not be started.',
    labels: [
      ROUTE,
      openLabel(
        'reason',
        '"max" (as many as may run), "stopping", "error", or the name of the system\'s error: ENOENT, EACCES, EAGAIN …',
      ),
    ],
  });

  readonly connects = counter({
    name: 'runnel_connects_total',
    help: 'Connections to the server behind a stream (connect, subscribe).',
    labels: [
      STREAM,
      label('outcome', 'The result', {
        connected: 'it is connected',
        ...CONNECT_FAILURES,
        ...LATE_FAILURES,
        max: 'the limit is reached',
        left: 'the client left before it was connected',
        status: 'the status of the answer is an error (subscribe)',
        login: 'the credentials were refused (subscribe)',
        type: 'the answer is not a stream (subscribe)',
        ended: 'the upstream has ended the stream permanently (subscribe)',
        silent: 'it said nothing for too long (subscribe)',
      }),
    ],
  });
  readonly subscriptions = gauge({
    name: 'runnel_subscriptions',
    help: 'Connections that streams with subscribe have now.',
    labels: [STREAM],
  });
  readonly subscriptionsEnded = counter({
    name: 'runnel_subscriptions_ended_total',
    help: 'Connections of streams with subscribe that were lost.',
    labels: [
      STREAM,
      label('reason', 'How', {
        ended: 'the upstream has ended it in good order',
        silent: 'nothing came for too long',
        ...CONNECT_FAILURES,
        ...LATE_FAILURES,
        status: 'the status of a later answer is an error',
        login: 'the credentials are refused now',
        type: 'a later answer is not a stream',
      }),
    ],
  });

  readonly upstreamRequests = counter({
    name: 'runnel_upstream_requests_total',
    help: 'Requests for the server behind a proxy route.',
    labels: [
      ROUTE,
      label('outcome', 'The result', {
        answered: 'an answer, of any status',
        ...CONNECT_FAILURES,
        ...LATE_FAILURES,
        left: 'the client left before the answer',
        loop: 'the request has come through this gateway already',
      }),
    ],
  });

  readonly logDropped = counter({
    name: 'runnel_log_dropped_total',
    help: 'Log lines that were dropped, because the log was not read in time.',
    labels: [],
  });
  readonly build = gauge({
    name: 'runnel_build_info',
    help: 'The version that runs, as a label; the value is 1.',
    labels: [openLabel('version', 'The version of runnel'), openLabel('node', 'The version of the Node in it')],
  });

  /** Every one of them, for `/metrics` and for the reference page. */
  all(): readonly AnyFamily[] {
    const values = Object.values(this).flatMap((value: unknown) =>
      value instanceof HistoryTallies || value instanceof CompressionTallies ? Object.values(value) : [value],
    );
    return values.filter((value: unknown): value is Family<LabelList, object> => value instanceof Family);
  }
}

/** The values of a label that has a fixed list of them. */
export type ValuesOf<Name extends keyof Tallies, At extends number> = Tallies[Name] extends {
  readonly labels: infer Labels extends LabelList;
}
  ? Labels[At] extends Label<infer Value>
    ? Value
    : never
  : never;
