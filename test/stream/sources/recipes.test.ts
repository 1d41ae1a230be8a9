/** The recipes of docs/sources.md, with the programs that they name where a test can have them, else with others in their place. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import mqtt from 'mqtt';
import WebSocket from 'ws';
import { codeOf, readPage } from '../../docs/pages.ts';
import { CAMERAS, fakePicture, startCamera } from '../../support/cameras.ts';
import { ask } from '../../support/client.ts';
import { EventClient } from '../../support/event-stream.ts';
import { folderWith, type Running, startGateway } from '../../support/gateway.ts';
import { HAS_MOSQUITTO, startMosquitto } from '../../support/mosquitto.ts';
import { startPeer } from '../../support/peer.ts';
import { until } from '../../support/processes.ts';
import { LISTEN } from '../../support/subscribed.ts';
import { httpUpstream } from '../../support/upstream.ts';

const PAGE = readPage('docs/sources.md');
const MOSQUITTO_SUB = '/usr/bin/mosquitto_sub';

/** The configuration below a heading, with something else for what only a real machine has. */
function changed(heading: string, changes: { readonly [written: string]: string } = {}): string {
  let toml = codeOf(PAGE.path, 'toml', { below: heading });
  assert.ok(toml.includes('[stream.'), heading);
  for (const [written, instead] of Object.entries(changes)) {
    assert.ok(toml.includes(written), `${heading}: ${written}`);
    toml = toml.replaceAll(written, instead);
  }
  return toml;
}

/** The same with another address. */
const recipe = (heading: string, written: string, port: number): string =>
  changed(heading, { [written]: `127.0.0.1:${port}` });

const startRecipe = (t: TestContext, toml: string): Promise<Running> =>
  startGateway(t, { config: `${LISTEN}${toml}`, files: { 'plug.login': 'ann:pass\n', 'camera.login': 'ann:pass\n' } });

/** With a program of the test's own, which is found first under the name of another. */
function startWith(t: TestContext, name: string, script: string, toml: string): Promise<Running> {
  const bin = folderWith(t, { [name]: script });
  return startGateway(t, {
    config: `${LISTEN}${toml}`,
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
  });
}

test('every recipe of the table is below its heading, and each has a test here', () => {
  const headings = [...(PAGE.text.split('## Recipes')[1] ?? '').matchAll(/^### (.*)$/gm)].map(
    ([, heading = '']) => heading,
  );
  assert.ok(headings.length >= 10, `${headings.length} recipes`);
  const source = readFileSync('test/stream/sources/recipes.test.ts', 'utf8');
  for (const heading of headings) {
    const anchor = heading.toLowerCase().replaceAll(' ', '-');
    assert.ok(PAGE.text.split('## Recipes')[0]?.includes(`](#${anchor})`), `the table does not name ${heading}`);
    assert.ok(source.includes(`'${heading}'`), `${heading} has no test`);
  }
});

test('the journal', async (t) => {
  const toml = changed('The journal');
  const journal = `#!/bin/sh\necho "$*"\necho "2026-11-28T09:14:03+0100 board sshd[712]: Accepted publickey"\nexec sleep 1000\n`;
  const running = await startWith(t, 'journalctl', journal, toml);
  const viewers = await Promise.all([1, 2].map(() => EventClient.open(running.port, '/live/journal')));
  for (const viewer of viewers) {
    assert.deepEqual(await viewer.first(2), [
      '--follow --lines=50 --output=short-iso',
      '2026-11-28T09:14:03+0100 board sshd[712]: Accepted publickey',
    ]);
    viewer.close();
  }
  assert.equal(await running.stop(), 0);
});

test('a log file, over its rotation', async (t) => {
  const folder = folderWith(t, { messages: 'first\nsecond\n' });
  const file = join(folder, 'messages');
  const running = await startRecipe(t, changed('A log file', { '/var/log/messages': file }));
  const viewer = await EventClient.open(running.port, '/live/log');
  assert.deepEqual(await viewer.first(2), ['first', 'second']);
  appendFileSync(file, 'third\n');
  assert.equal((await viewer.first(3)).at(-1), 'third');
  renameSync(file, `${file}.1`);
  writeFileSync(file, 'fourth\n');
  assert.equal((await viewer.first(4)).at(-1), 'fourth');
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('GPIO lines: a program that holds its lines back', async (t) => {
  const toml = changed('GPIO lines');
  // awk writes each line at once only to a terminal, as the C library does for gpiomon; its input never comes.
  const gpiomon = `#!/bin/sh\nexec awk -v args="$*" 'BEGIN { print args; print "rising" } { print }'\n`;
  const running = await startWith(t, 'gpiomon', gpiomon, toml);
  const viewer = await EventClient.open(running.port, '/live/button');
  assert.deepEqual(await viewer.first(2), ['--chip gpiochip0 --edges both --format %E 17', 'rising']);
  const late = await EventClient.open(running.port, '/live/button');
  assert.deepEqual(await late.first(1), ['rising']);
  viewer.close();
  late.close();
  assert.equal(await running.stop(), 0);
});

test('MQTT topics, by the programs of mosquitto', async (t) => {
  if (!HAS_MOSQUITTO || !existsSync(MOSQUITTO_SUB)) return t.skip('needs mosquitto and mosquitto-clients');
  const broker = await startMosquitto(t);
  const running = await startRecipe(
    t,
    changed('MQTT topics', { '"127.0.0.1"': `"127.0.0.1", "-p", "${broker.port}"` }),
  );
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`);
  await client.publishAsync('sensors/room', '21.5', { retain: true });
  const viewer = await EventClient.open(running.port, '/live/sensors');
  const parsed = (text = ''): unknown => {
    const { topic, payload } = JSON.parse(text) as { topic: unknown; payload: unknown };
    return [topic, payload];
  };
  assert.deepEqual(parsed((await viewer.first(1))[0]), ['sensors/room', '21.5']);
  await client.publishAsync('sensors/hall/door', 'open "wide"');
  assert.deepEqual(parsed((await viewer.first(2))[1]), ['sensors/hall/door', 'open "wide"']);
  await client.endAsync();
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('a notes board: everybody reads, who has a token writes', async (t) => {
  const token = 'a-token-of-a-test-0123456789';
  const folder = folderWith(t, { tokens: `kitchen:${createHash('sha256').update(token).digest('hex')}\n` });
  const running = await startRecipe(t, changed('A notes board', { 'notes.tokens': join(folder, 'tokens') }));
  const headers = { authorization: `Bearer ${token}` };
  const viewer = await EventClient.open(running.port, '/notes');
  assert.equal((await ask(running.port, '/notes', { method: 'POST', body: 'from nobody' })).status, 401);
  const said = await ask(running.port, '/notes', { method: 'POST', body: 'tea is ready', headers });
  assert.ok([201, 202].includes(said.status), said.body);
  assert.match(said.body, /^\{"id":"[0-9a-z]+-1"\}\n$/);
  assert.deepEqual(await viewer.first(1), ['tea is ready']);
  const late = await EventClient.open(running.port, '/notes');
  assert.deepEqual(await late.first(1), ['tea is ready']);
  viewer.close();
  late.close();
  assert.equal(await running.stop(), 0);
});

test('a feed and a JSON address', async (t) => {
  const feed = '<?xml version="1.0"?>\n<rss><channel><item><title>News</title></item></channel></rss>\n';
  let watts = 310;
  const upstream = await httpUpstream(t, (request, response) => {
    const isFeed = request.url === '/feed.xml';
    response.writeHead(200, { 'content-type': isFeed ? 'application/rss+xml' : 'application/json' });
    response.end(isFeed ? feed : JSON.stringify({ watts }));
  });
  const address = `127.0.0.1:${upstream.port}`;
  const running = await startRecipe(
    t,
    changed('A feed or a JSON address', {
      'inverter.lan': address,
      'news.lan': address,
      '10s': '100ms',
      '15m': '100ms',
    }),
  );
  const [inverter, news] = await Promise.all(
    ['/live/inverter', '/live/news'].map((path) => EventClient.open(running.port, path)),
  );
  assert.deepEqual(await inverter?.first(1), ['{"watts":310}']);
  watts = 320;
  assert.deepEqual(await inverter?.first(2), ['{"watts":310}', '{"watts":320}']);
  assert.equal((await news?.first(1))?.[0], feed);
  await until(
    'the feed was asked some times',
    () => upstream.asked.filter(({ url }) => url === '/feed.xml').length > 3,
  );
  assert.deepEqual(news?.all().length, 1);
  inverter?.close();
  news?.close();
  assert.equal(await running.stop(), 0);
});

test('the first example', async (t) => {
  const upstream = await httpUpstream(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('event: log\ndata: no\n\nevent: state\ndata: on\n\n');
  });
  const running = await startRecipe(t, recipe('subscribe', 'plug.lan', upstream.port));
  const viewer = await EventClient.open(running.port, '/live/plug');
  assert.deepEqual(await viewer.first(1), ['on']);
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('a serial line', async (t) => {
  let written = '';
  const { port } = await startPeer(t, (socket) => {
    socket.write('21.5 C\r\n');
    socket.on('data', (chunk: Buffer) => {
      written += chunk.toString();
    });
  });
  const running = await startRecipe(t, recipe('A serial line', '127.0.0.1:4001', port));
  const viewer = await EventClient.open(running.port, '/serial');
  assert.deepEqual(await viewer.first(1), ['21.5 C']);
  await ask(running.port, '/serial', { method: 'POST', body: 'led on' });
  await until('it is written', () => written === 'led on\n');
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('ESPHome, as its web_server writes events', async (t) => {
  const upstream = await httpUpstream(t, (request, response) => {
    if (request.method === 'POST') {
      response.writeHead(200).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'keep-alive' });
    response.write('retry: 30000\r\nid: 1042\r\nevent: ping\r\ndata: {"title":"esp","comment":"","ota":true}\r\n\r\n');
    response.write('event: log\r\ndata: \x1b[0;36m[D][sensor:093]: Sending state 21.5\x1b[0m\r\n\r\n');
    response.write('event: state\r\ndata: {"id":"sensor-room","state":"21.5 °C","value":21.5}\r\n\r\n');
  });
  const running = await startRecipe(t, recipe('ESPHome', 'esp.lan', upstream.port));
  const viewer = await EventClient.open(running.port, '/live/esp');
  assert.deepEqual(await viewer.first(1), ['{"id":"sensor-room","state":"21.5 °C","value":21.5}']);
  assert.equal((await ask(running.port, '/live/esp', { method: 'POST', body: '' })).status, 200);
  assert.deepEqual(
    upstream.asked.map(({ method, url }) => `${method} ${url}`),
    ['GET /events', 'POST /switch/relay/toggle'],
  );
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('a plug with a password', async (t) => {
  const upstream = await httpUpstream(t, (request, response) => {
    if (request.headers.authorization === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Digest realm="plug", qop="auth", nonce="1", algorithm=SHA-256' });
      response.end();
    } else if (request.method === 'POST') response.writeHead(200).end('{"was_on":true}');
    else {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: switch:0\nid: 3\ndata: {"output":true}\n\n');
    }
  });
  const running = await startRecipe(t, recipe('A plug with an event stream and a password', 'plug.lan', upstream.port));
  const viewer = await EventClient.open(running.port, '/live/plug');
  const [event = ''] = await viewer.first(1);
  assert.deepEqual(JSON.parse(event), { event: 'switch:0', data: '{"output":true}', id: '3' });
  const posted = await ask(running.port, '/live/plug', { method: 'POST', body: '{"method":"Switch.Toggle"}' });
  assert.equal(posted.body, '{"was_on":true}');
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('a camera', async (t) => {
  const pictures = [fakePicture(1, 200_000), fakePicture(2, 200_000)];
  const [habits] = CAMERAS.values();
  assert.ok(habits !== undefined);
  const port = await startCamera(t, habits, pictures, 10_000);
  const running = await startRecipe(t, recipe('A camera', 'camera.lan', port));
  const got: Buffer[] = [];
  const viewer = new WebSocket(`ws://127.0.0.1:${running.port}/cam`);
  viewer.on('message', (data: Buffer) => got.push(data));
  await once(viewer, 'open');
  await until('the last picture is there', () => got.at(-1)?.equals(pictures[1] ?? Buffer.alloc(0)) === true);
  viewer.terminate();
  assert.equal(await running.stop(), 0);
});
