/** What deploy/ has for Prometheus and Grafana, with the real Prometheus: it reads our text, its rules hold, and every query finds what it asks for. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exposition } from '../../src/ops/metrics/exposition.ts';
import { openLabel } from '../../src/ops/metrics/family.ts';
import { Histogram } from '../../src/ops/metrics/histogram.ts';
import { ProcessFigures } from '../../src/ops/metrics/process-figures.ts';
import { counter } from '../../src/ops/metrics/tally.ts';
import { Tallies } from '../../src/ops/tallies.ts';
import { ask, TestSocket } from '../support/client.ts';
import { folderWith, startGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';

const DEPLOY = fileURLToPath(new URL('../../../deploy', import.meta.url));
const RULES = join(DEPLOY, 'prometheus/runnel-alerts.yml');
const RULE_TESTS = join(DEPLOY, 'prometheus/runnel-alerts.test.yml');

const noPrometheus = spawnSync('prometheus', ['--version']).error === undefined ? false : 'needs prometheus';

/** What promtool says, and its exit status. */
function promtool(args: readonly string[], input = ''): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  return { status, said: `${stdout}${stderr}` };
}

/** Every PromQL expression of the dashboard, with its variables filled in. */
function dashboardQueries(): readonly string[] {
  const text = readFileSync(join(DEPLOY, 'grafana/runnel.json'), 'utf8');
  const expressions: string[] = [];
  JSON.parse(text, (key, value: unknown) => {
    if (key === 'expr' && typeof value === 'string') expressions.push(value);
    return value;
  });
  return expressions.map((expression) =>
    expression.replaceAll('$job', 'runnel').replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m'),
  );
}

/** The metrics that a text names. */
function metricsIn(text: string): readonly string[] {
  return text.match(/\b(runnel|process|nodejs)_[a-z_]+\b/g) ?? [];
}

/** The names that series have. */
function seriesNames(): ReadonlySet<string> {
  const families = [...new Tallies().all(), ...new ProcessFigures().all()];
  return new Set(
    families.flatMap(({ name, kind }) =>
      kind === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}

test('dashboard and rules ask only for metrics that there are, and the dashboard for every one of runnel', () => {
  const names = seriesNames();
  const rules = metricsIn(readFileSync(RULES, 'utf8'));
  const asked = dashboardQueries().flatMap(metricsIn);
  assert.ok(rules.length > 20 && asked.length > 40, `${rules.length}, ${asked.length}`);
  for (const name of [...rules, ...asked]) assert.ok(names.has(name), name);
  const shown = new Set(asked.map((name) => name.replace(/_bucket$/, '')));
  const own = new Tallies().all().map(({ name }) => name);
  // What the rules and the variables are for, not the eye.
  const elsewhere = ['runnel_build_info', 'runnel_config_last_reload_success_timestamp_seconds'];
  assert.deepEqual(
    own.filter((name) => !shown.has(name) && !elsewhere.includes(name)),
    [],
  );
});

test('each alert has a test of when it fires and of when it does not', () => {
  const alerts = [...readFileSync(RULES, 'utf8').matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  const tests = [...readFileSync(RULE_TESTS, 'utf8').matchAll(/- name: (\w+) (fires|does not)/g)];
  assert.ok(alerts.length > 15);
  assert.deepEqual(
    tests.map(([, name, what]) => `${name} ${what}`),
    alerts.flatMap((name) => [`${name} fires`, `${name} does not`]),
  );
});

test('promtool takes the rules, and their tests pass', { skip: noPrometheus }, () => {
  for (const args of [
    ['check', 'rules', RULES],
    ['test', 'rules', RULE_TESTS],
  ]) {
    const { status, said } = promtool(args);
    assert.equal(status, 0, said);
    assert.match(said, /SUCCESS/);
  }
});

test('promtool reads label values of all kinds', { skip: noPrometheus }, () => {
  const labels = [openLabel('route', '')] as const;
  const count = counter({ name: 'x_total', help: 'A \\ "help"\nwith lines.', labels });
  const times = new Histogram({ name: 'x_seconds', help: 'Times.', labels, bounds: [0.1, 1] });
  const values = [
    '/a"b',
    '/a\\b',
    '/a\nb',
    '/a\rb',
    '/café',
    '/\u{1f600}',
    '\\"',
    '\\n',
    '",x="',
    '',
    ' ',
    '\u0000',
    '\u2028',
    '\ud800',
  ];
  for (const value of values) {
    count.add(1, value);
    times.series(value).observe(0.5);
  }
  assert.deepEqual(promtool(['check', 'metrics'], exposition([count, times])), { status: 0, said: '' });
});

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data?: { readonly result: readonly { readonly metric: { readonly [label: string]: string } }[] };
}

test('Prometheus scrapes a gateway, and every query of the dashboard is answered', {
  skip: noPrometheus,
}, async (t) => {
  const running = await startGateway(t, {
    config: `
[[listen]]
address = "127.0.0.1:0"
[static."/"]
root = "www"
[static."/quo\\"te's {x=}/caf\u00e9 \u2603/"]
root = "www"
[stream."/live"]
command = ["cat"]
share = "all"
[admin]
listen = "127.0.0.1:0"
`,
    files: { 'www/index.html': 'hello' },
  });
  const adminPort = running.ports[1] ?? 0;
  const odd = `/quo%22te's%20%7Bx=%7D/caf%C3%A9%20%E2%98%83/`;
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/live`);
  const visit = async (): Promise<void> => {
    assert.equal((await ask(running.port, '/')).status, 200);
    assert.equal((await ask(running.port, odd)).status, 200);
    socket.ws.send('hello');
  };
  await visit();
  await socket.first(1);

  const headers = { 'accept-encoding': 'gzip', accept: 'application/openmetrics-text;version=1.0.0,*/*;q=0.1' };
  const scrape = await ask(adminPort, '/metrics', { headers });
  assert.equal(scrape.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(scrape.headers['content-encoding'], undefined);
  assert.deepEqual(promtool(['check', 'metrics'], scrape.body), { status: 0, said: '' });
  assert.match(scrape.body, /^runnel_http_request_duration_seconds_count\{route="\/",class="2xx"\} 1$/m);
  assert.match(scrape.body, /^runnel_http_request_duration_seconds_count\{route="\/live",class="1xx"\} 1$/m);
  assert.match(scrape.body, /^runnel_stream_delivery_seconds_count\{route="\/live",viewers="prompt"\} 1$/m);
  assert.match(scrape.body, /^runnel_process_start_seconds_count\{route="\/live"\} 1$/m);

  const folder = folderWith(t, {
    'prometheus.yml': `
global: { scrape_interval: 250ms, evaluation_interval: 1s }
rule_files: ["${RULES}"]
scrape_configs:
  - { job_name: runnel, static_configs: [{ targets: ["127.0.0.1:${adminPort}"] }] }
`,
  });
  const port = await startPrometheus(t, folder);
  const query = async (expression: string): Promise<Answer> => {
    const { body } = await ask(port, `/api/v1/query?query=${encodeURIComponent(expression)}`);
    return JSON.parse(body) as Answer;
  };
  const isFound = async (expression: string): Promise<boolean> =>
    ((await query(expression)).data?.result.length ?? 0) > 0;
  await until('it has scraped twice', async () => {
    await visit();
    return await isFound('rate(runnel_http_requests_total{job="runnel",code="200"}[1m]) > 0');
  });
  const routes = (await query('runnel_http_requests_total{code="200"}')).data?.result.map(
    ({ metric }) => metric['route'],
  );
  assert.ok(routes?.includes(`/quo"te's {x=}/caf\u00e9 \u2603/`), String(routes));

  const queries = dashboardQueries();
  let found = 0;
  for (const expression of queries) {
    const { status, error, data } = await query(expression);
    assert.equal(status, 'success', `${expression}: ${error}`);
    if ((data?.result.length ?? 0) > 0) found++;
  }
  // The others are of what this gateway does not have: certificates, upstreams, polls.
  assert.ok(found >= 25, `${found} of ${queries.length} have found something`);
  const rules = JSON.parse((await ask(port, '/api/v1/rules')).body) as {
    readonly data: {
      readonly groups: readonly {
        readonly rules: readonly { readonly state: string; readonly lastError?: string }[];
      }[];
    };
  };
  for (const { state, lastError } of rules.data.groups.flatMap((group) => group.rules)) {
    assert.equal(lastError ?? '', '');
    assert.equal(state, 'inactive');
  }
  socket.ws.close();
});

/** Gives its port, which the system chose. It is ended with the test. */
async function startPrometheus(t: TestContext, folder: string): Promise<number> {
  const child: ChildProcess = spawn(
    'prometheus',
    [
      ...[`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`],
      ...['--web.listen-address=127.0.0.1:0', '--log.level=info'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder },
  );
  t.after(async () => {
    if (child.exitCode !== null) return;
    child.kill();
    await once(child, 'exit');
  });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const address = /msg="Listening on" address=127\.0\.0\.1:(\d+)/;
  await until('Prometheus is ready', () => {
    assert.equal(child.exitCode, null, said);
    return address.test(said) && said.includes('Server is ready');
  });
  return Number(address.exec(said)?.[1]);
}
