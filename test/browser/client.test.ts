/** `/.runnel/client.js` in a browser, on lines of every kind of badness: nothing lost, nothing twice, and the way it went. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { codeOf } from '../docs/pages.ts';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { type Running, startGateway } from '../support/gateway.ts';
import { NGINX, nginx } from '../support/nginx.ts';
import { until } from '../support/processes.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';

const LINES = 2000;
const EXPECTED = Array.from({ length: LINES }, (_, at) => `${at + 1} ${'é'.repeat(at % 40)}`);

/** Prints the lines in portions, and stops for longer than some lines allow in the middle. */
const NUMBERS = `#!/usr/bin/python3
import sys, time
for at in range(${LINES}):
    print(at + 1, "é" * (at % 40), flush=True)
    if at % 25 == 24: time.sleep(0.02)
    if at == 1000: time.sleep(float(sys.argv[1]))
time.sleep(1000)
`;

const PAGE = `<!doctype html><title>test</title><script src="/.runnel/client.js"></script><script>
var messages = [], ways = [], told = [];
function follow(url, options) {
  window.stream = new Runnel(url, options);
  stream.onmessage = function (event) { messages.push(event.data); };
  stream.onopen = function () { if (ways[ways.length - 1] !== stream.transport) ways.push(stream.transport); };
  ['missed', 'notice', 'end', 'error', 'stderr'].forEach(function (type) {
    stream.addEventListener(type, function (event) {
      told.push([type, event.data || event.reason || event.count, event.code || 0]);
    });
  });
}
</script>`;

const CONFIG = (engine: string, pause: number): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[static."/"]
root = "www"
[stream."/numbers"]
command = ["./numbers.py", "${pause}"]
share = "all"
history = { messages = 5000, bytes = "4MiB" }
slow_client = "drop"
[stream."/bytes"]
command = ["sh", "-c", "printf '\\\\000\\\\377\\\\001'; exec sleep 1000"]
framing = "raw"
share = "all"
history = 10
[stream."/cat"]
command = ["cat"]
[stream."/brief"]
command = ["sh", "-c", "echo hello; exit 3"]
[stream."/full"]
command = ["sleep", "1000"]
max_processes = 1
`;

interface Trial {
  /** What the gateway's listener runs on. */
  readonly engine?: 'uws' | 'node';
  /** Seconds that the program is silent in the middle. */
  readonly pause?: number;
  /** What runs in the page before its own scripts. */
  readonly before?: string;
  /** Puts something between the browser and the gateway; gives its port. */
  between?(t: TestContext, port: number): Promise<number>;
  readonly options?: string;
  /** The ways it must have gone, in this order. */
  readonly ways: readonly string[];
  /** A way in between that it may have left before it was open, where that is a matter of time. */
  readonly mayMiss?: string;
}

const NO_WEBSOCKET = 'delete window.WebSocket;';
const NO_EVENTSOURCE = 'delete window.EventSource;';
const UPGRADE = `proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection upgrade;`;

const line =
  (bad: Parameters<typeof tcpProxy>[1] extends infer Line ? Omit<Line & object, 'to'> : never) =>
  async (t: TestContext, port: number): Promise<number> =>
    (await tcpProxy(t, { ...bad, to: port })).port;

const TRIALS: { readonly [name: string]: Trial } = {
  'a good line': { ways: ['websocket'] },
  'a good line, engine node': { engine: 'node', ways: ['websocket'] },
  'the past first': { options: '{ history: 10000 }', ways: ['websocket'] },
  'the past first, without WebSocket': { options: '{ history: 10000 }', before: NO_WEBSOCKET, ways: ['events'] },
  'the past first, by polling': { options: '{ history: 10000, transports: ["poll"] }', ways: ['poll'] },
  'a browser without WebSocket': { before: NO_WEBSOCKET, ways: ['events'] },
  'a browser without WebSocket and EventSource': { before: NO_WEBSOCKET + NO_EVENTSOURCE, ways: ['events'] },
  'a proxy that refuses WebSocket': { between: line({ refuse: /^upgrade: websocket/im }), ways: ['events'] },
  'a proxy that refuses WebSocket and event streams': {
    between: line({ refuse: /^upgrade: websocket|text\/event-stream/im }),
    ways: ['poll'],
  },
  'a proxy that cuts idle connections': { pause: 12, between: line({ idle: 5000 }), ways: ['websocket'] },
  'a proxy that cuts idle connections, without WebSocket': {
    pause: 12,
    before: NO_WEBSOCKET,
    between: line({ idle: 5000 }),
    ways: ['events'],
  },
  'a proxy that cuts every connection after 30 KB': { between: line({ cutAfter: 30_000 }), ways: ['websocket'] },
  'a proxy that cuts every connection after 30 KB, without WebSocket': {
    before: NO_WEBSOCKET,
    between: line({ cutAfter: 30_000 }),
    ways: ['events'],
  },
  'a proxy that cuts every connection after 30 KB, without WebSocket and EventSource': {
    before: NO_WEBSOCKET + NO_EVENTSOURCE,
    between: line({ cutAfter: 30_000 }),
    ways: ['events'],
  },
  'a proxy that cuts every connection after 100 KB, by polling': {
    options: '{ transports: ["poll"] }',
    between: line({ cutAfter: 100_000 }),
    ways: ['poll'],
  },
};

const NGINX_TRIALS: { readonly [name: string]: Trial } = {
  'nginx with its defaults': { engine: 'node', between: (t, port) => nginx(t, port, ''), ways: ['events'] },
  'nginx that passes upgrades': { between: (t, port) => nginx(t, port, UPGRADE), ways: ['websocket'] },
  'nginx that holds everything back': {
    engine: 'node',
    between: (t, port) => nginx(t, port, 'proxy_ignore_headers X-Accel-Buffering;'),
    options: '{ timeout: 1500 }',
    // Its buffers let the first lines through, and then keep the last ones.
    ways: ['events', 'poll'],
    mayMiss: 'events',
  },
};

/** The length of a list in the page; text, because only a browser has these words. */
const length = (page: Page, list: string): Promise<number> => page.evaluate(`${list}.length`) as Promise<number>;

describe('client.js', { skip: noBrowser, concurrency: 4 }, () => {
  const browser = testBrowser();
  const start = async (t: TestContext, trial: Trial): Promise<{ running: Running; page: Page }> => {
    const running = await startGateway(t, {
      config: CONFIG(trial.engine ?? 'uws', trial.pause ?? 0),
      files: { 'numbers.py': NUMBERS, 'www/index.html': PAGE },
    });
    const port = (await trial.between?.(t, running.port)) ?? running.port;
    const context = await (await browser()).newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    if (trial.before !== undefined) await page.addInitScript(trial.before);
    await page.goto(`http://127.0.0.1:${port}/`);
    return { running, page };
  };

  const resumes = async (t: TestContext, trial: Trial): Promise<void> => {
    const { page } = await start(t, trial);
    await page.evaluate(`follow('/numbers', ${trial.options ?? '{}'})`);
    await until('all lines are there', async () => (await length(page, 'messages')) >= LINES).catch(async (error) => {
      const state = await page.evaluate(
        'JSON.stringify([messages.length, stream.state, stream.transport, ways, told])',
      );
      throw new Error(`${error}: ${state}`);
    });
    assert.deepEqual(await page.evaluate('messages'), EXPECTED);
    const ways = (await page.evaluate('ways')) as readonly string[];
    const { mayMiss } = trial;
    const missed = mayMiss !== undefined && !ways.includes(mayMiss);
    assert.deepEqual(
      ways,
      trial.ways.filter((way) => !(missed && way === mayMiss)),
    );
    const told = (await page.evaluate('told')) as readonly (readonly unknown[])[];
    t.diagnostic(JSON.stringify(told.slice(0, 5)));
    assert.deepEqual(
      told.filter(([type]) => type === 'missed'),
      [],
    );
  };

  for (const [name, trial] of Object.entries(TRIALS)) test(name, (t) => resumes(t, trial));
  for (const [name, trial] of Object.entries(NGINX_TRIALS))
    test(name, { skip: existsSync(NGINX) ? false : 'needs nginx' }, (t) => resumes(t, trial));

  for (const [way, before] of [
    ['websocket', ''],
    ['events', NO_WEBSOCKET],
    ['events', NO_WEBSOCKET + NO_EVENTSOURCE],
  ] as const)
    test(`${way}${before.includes('Event') ? ' by XMLHttpRequest' : ''}: sends in order, and hears how it ended`, async (t) => {
      const { page } = await start(t, { before, ways: [] });
      await page.evaluate(`follow('/cat'); stream.onstate = function (event) {
        if (event.state === 'open') for (var i = 0; i < 50; i++) stream.send('line ' + i);
      }`);
      await until('all came back', async () => (await length(page, 'messages')) >= 50);
      assert.deepEqual(
        await page.evaluate('messages'),
        Array.from({ length: 50 }, (_, at) => `line ${at}`),
      );
      assert.equal(await page.evaluate('stream.transport'), way);
      await page.evaluate(`stream.close(); messages = []; told = []; follow('/brief')`);
      await until('closed', async () => (await page.evaluate('stream.state')) === 'closed');
      assert.deepEqual(await page.evaluate('messages'), ['hello']);
      assert.deepEqual(await page.evaluate('told'), [
        ['end', 'exit 3', 1011],
        ['error', 'exit 3', 0],
      ]);
    });

  for (const way of ['websocket', 'events', 'poll'])
    test(`bytes by ${way}`, async (t) => {
      const { page } = await start(t, { ways: [] });
      await page.evaluate(`follow('/bytes', { transports: ['${way}'] })`);
      await until('a message', async () => (await length(page, 'messages')) > 0);
      assert.deepEqual(await page.evaluate('[].slice.call(new Uint8Array(messages[0]))'), [0, 255, 1]);
    });

  test('the chart of docs/clients.md begins with the past, and goes on behind it', async (t) => {
    const chart = codeOf('docs/clients.md', 'html', { begins: '<script src="/.runnel/client.js"></script>\n<canvas' });
    // What is new is told to nobody who comes later, but for what a lookup gives.
    const keys = 'share = "all"\nhistory = 1000\nreplay = "none"\nstart = "boot"\n';
    const running = await startGateway(t, {
      config: `[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "www"\n[stream."/live/sensors"]\ncommand = ["sh", "-c", "seq 1 600; exec cat"]\n${keys}`,
      files: { 'www/index.html': `<!doctype html><title>chart</title>${chart}` },
    });
    await until('there is a past', async () => {
      const { headers } = await fetch(running.url('/live/sensors'), { method: 'HEAD' });
      return headers.get('last-event-id')?.endsWith('-600') === true;
    });
    const context = await (await browser()).newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    const errors: unknown[] = [];
    page.on('pageerror', (error) => errors.push(error));
    await page.goto(running.url('/'));
    await until('it follows', async () => (await page.evaluate('stream.state')) === 'open');
    const values = (): Promise<unknown> => page.evaluate('points.map(function (point) { return point.value; })');
    const readings = Array.from({ length: 500 }, (_, at) => at + 101);
    assert.deepEqual(await values(), readings);
    await fetch(running.url('/live/sensors'), { method: 'POST', body: '601' });
    await until('the next one is there', async () => (await page.evaluate('points[499].value')) === 601);
    assert.deepEqual(await values(), [...readings.slice(1), 601]);
    const past = (await page.evaluate(
      'points[0].time <= points[499].time && points[499].time <= new Date()',
    )) as boolean;
    assert.ok(past);
    await until('it is drawn', async () =>
      page.evaluate('chart.getContext("2d").getImageData(0, 0, 600, 200).data.some(function (at) { return at > 0; })'),
    );
    assert.deepEqual(errors, []);
  });

  test('asked for a past that is not there, it begins with what comes', async (t) => {
    const { page } = await start(t, { ways: [] });
    await page.evaluate(`follow('/cat', { history: 5 }); stream.onstate = function (event) {
      if (event.state === 'open') stream.send('hello');
    }`);
    await until('it came back', async () => (await length(page, 'messages')) > 0);
    assert.deepEqual(await page.evaluate('[messages, stream.transport, told]'), [['hello'], 'websocket', []]);
    await page.evaluate(`stream.close(); messages = []; follow('/bytes', { history: 5 })`);
    await until('a message', async () => (await length(page, 'messages')) > 0);
    assert.deepEqual(await page.evaluate('[].slice.call(new Uint8Array(messages[0]))'), [0, 255, 1]);
  });

  test('says why it cannot get there', async (t) => {
    const { page } = await start(t, { ways: [] });
    const endOf = async (url: string, options: string): Promise<unknown> => {
      await page.evaluate(`told = []; follow('${url}', ${options})`);
      await until('closed', async () => (await page.evaluate('stream.state')) === 'closed');
      return (await page.evaluate('told')) as unknown;
    };
    assert.deepEqual(await endOf('/nothing', '{}'), [['error', 'refused with status 404', 0]]);
    assert.deepEqual(await endOf('/cat', '{ transports: ["poll"] }'), [
      ['error', 'this stream cannot be polled, and nothing else came through', 0],
    ]);
    // Full is not for ever: it waits, and comes in when there is room.
    await page.evaluate(`window.first = new Runnel('/full')`);
    await until('the first is in', async () => (await page.evaluate('first.state')) === 'open');
    await page.evaluate(`told = []; follow('/full', { transports: ['websocket', 'events'], maxDelay: 100 })`);
    await until('it waits', async () => (await length(page, 'told')) > 0);
    await page.evaluate('first.close()');
    await until('the second is in', async () => (await page.evaluate('stream.state')) === 'open');
  });

  test('comes again after an end where it is told to, until it is closed', async (t) => {
    const { running, page } = await start(t, { ways: [] });
    await page.evaluate(`follow('/brief', { reconnect: true, maxDelay: 50 })`);
    await until('again and again', async () => (await length(page, 'messages')) > 3);
    await page.evaluate('stream.close()');
    const before = await length(page, 'messages');
    assert.equal(await running.stop(), 0);
    assert.equal(await length(page, 'messages'), before);
  });
});
