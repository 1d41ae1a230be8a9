/** The reference page of the metrics, `docs/metrics.md`, made from their declarations. */
import type { AnyFamily } from './exposition.ts';
import type { Label } from './family.ts';
import { Histogram } from './histogram.ts';

/** Names that have changed, and why: for whoever has an alert on the old one. */
const RENAMED: readonly (readonly [before: string, now: string, why: string])[] = [
  [
    'runnel_stream_clients_total',
    'runnel_stream_clients_joined_total',
    'in OpenMetrics it was the same family as `runnel_stream_clients`, which is a gauge',
  ],
  [
    'runnel_tls_certificate_expiry_seconds',
    'runnel_tls_certificate_expiry_timestamp_seconds',
    'it is a moment, not a duration',
  ],
  [
    'nodejs_eventloop_lag_*_seconds, nodejs_active_*, nodejs_gc_duration_seconds, nodejs_heap_space_*',
    'none',
    'they needed a timer that fires 100 times a second, or memory; `runnel_http_request_duration_seconds` and `nodejs_eventloop_time_seconds_total` tell what they were read for',
  ],
];

const INTRODUCTION = `# Metrics and health

<!-- Made from src/ops/tallies.ts and src/ops/metrics/ by "npm run docs". Change those files, not this one. -->

\`[admin]\` opens a listener for the operator. Keep it off the network, or set \`auth\`.

\`\`\`toml
[admin]
listen = "127.0.0.1:9180"
\`\`\`

| path | answer |
| --- | --- |
| \`/metrics\` | All metrics on this page, in the text format 0.0.4 of Prometheus (\`text/plain\`, UTF-8), for every scraper; not compressed. |
| \`/healthz\` | \`200 ok\` while the event loop runs. Use it as a liveness probe, which restarts a process that hangs. |
| \`/readyz\` | \`200\` and \`ready\` while clients can be served, otherwise \`503\` and \`not ready\`. A line follows for each certificate of each listener, with its expiry. An expired one is not ready. Use it as the readiness probe of a load balancer. It opens when the gateway listens, and closes with the other listeners when it stops. |

\`\`\`yaml
# prometheus.yml
scrape_configs:
  - job_name: runnel
    static_configs:
      - targets: ["127.0.0.1:9180"]
rule_files:
  - runnel-alerts.yml
\`\`\`

Alert rules are in \`deploy/prometheus/\`, a dashboard for Grafana is in \`deploy/grafana/\`; the Debian package has both in \`/usr/share/doc/runnel/examples/\`.

- **Labels** come from the configuration or from a fixed list, never from a client. So the number of series is bounded: a gateway with 20 routes has some hundreds.
- **Counters** begin with 0 at each start. A series exists from its first count on. A family without a count has only its \`HELP\` and \`TYPE\`.
- **Histograms** are in seconds. Values above the last bound are only in \`+Inf\`.
- **A reload** keeps all counts, also of removed routes.
- **The cost**: counting only adds to existing numbers. The text, and all figures of the process, are made for each scrape.
`;

export function metricsReference(counts: readonly AnyFamily[], figures: readonly AnyFamily[]): string {
  return [
    INTRODUCTION,
    '## What runnel counts\n',
    ...counts.map(section),
    '## What the process uses\n\nRead at each scrape, under the names that Prometheus has for them everywhere.\n',
    ...figures.map(section),
    '## Renamed\n',
    table(
      ['before', 'now', 'why'],
      RENAMED.map(([before, now, why]) => [code(before), now === 'none' ? now : code(now), why]),
    ),
  ].join('\n');
}

function section(family: AnyFamily): string {
  const { name, kind, help, labels } = family;
  const bounds = family instanceof Histogram ? ` Bounds, in seconds: ${family.bounds.join(', ')}.` : '';
  const rows = labels.flatMap(labelRows);
  return [
    `### \`${name}\`\n`,
    `${kind[0]?.toUpperCase()}${kind.slice(1)}. ${help}${bounds}\n`,
    ...(rows.length === 0 ? [] : [table(['label', 'value', 'what it means'], rows)]),
  ].join('\n');
}

function labelRows({ name, meaning, values }: Label): string[][] {
  const rows = Object.entries(values).map(([value, what]) => ['', code(value), what]);
  return [[code(name), '', meaning], ...rows];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`;
}

function code(text: string): string {
  return `\`${text}\``;
}
