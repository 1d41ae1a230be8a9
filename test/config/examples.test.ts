/** Each file of config/examples/, started as its first lines say, with the programs that it names or others in their place. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import mqtt from 'mqtt';
import { WebSocketServer } from 'ws';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { ask, TestSocket } from '../support/client.ts';
import { EventClient } from '../support/event-stream.ts';
import { folderWith, type Running, runnel, startRunnel } from '../support/gateway.ts';
import { askSecurely } from '../support/https.ts';
import { HAS_MOSQUITTO, startMosquitto } from '../support/mosquitto.ts';
import { NGINX, nginx } from '../support/nginx.ts';
import { until } from '../support/processes.ts';
import { httpUpstream } from '../support/upstream.ts';

const EXAMPLES = join(import.meta.dirname, '../../../config/examples');
const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const NAMES = readdirSync(EXAMPLES).filter((name) => name.endsWith('.toml'));
const MAX_LINES = 40;
const PASSWORD = 'correct horse';
const ann = { authorization: `Basic ${Buffer.from(`ann:${PASSWORD}`).toString('base64')}` };

interface Example extends Running {
  /** What the commands of its first lines have printed, stderr included. */
  readonly said: string;
}

interface Changes {
  /** What only a real machine has, and what takes its place. */
  readonly instead?: { readonly [written: string]: string };
  /** Programs that are found first under their names. */
  readonly programs?: { readonly [name: string]: string };
}

/** Copies the folder, runs the commands of the file's first lines, lets `check` look at the file, and starts it. */
async function start(t: TestContext, name: string, changes: Changes = {}): Promise<Example> {
  const bin = folderWith(t, {
    runnel: `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`,
    ...changes.programs,
  });
  const folder = folderWith(t, {});
  cpSync(join(EXAMPLES, '..'), folder, { recursive: true });
  const place = join(folder, 'examples');
  const file = join(place, name);
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}` };
  const head = readFileSync(file, 'utf8').split('\n\n')[0] ?? '';
  let said = '';
  for (const [, command = ''] of head.matchAll(/^# {3}(runnel (?!serve).*?)(?: {3,}.*)?$/gm)) {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: place, env, input: `${PASSWORD}\n` });
    assert.equal(status, 0, `${command}: ${stderr}`);
    said += `${stdout}${stderr}`;
  }
  // As `check` sees it, but for what only a real machine has.
  let text = readFileSync(file, 'utf8');
  for (const [written, other] of Object.entries(changes.instead ?? {})) {
    assert.ok(text.includes(written), `${name} has no ${written}`);
    text = text.replaceAll(written, other);
  }
  writeFileSync(file, text);
  const checked = await runnel(['check', '-c', file], place);
  assert.deepEqual([checked.code, checked.stderr], [0, ''], checked.stdout);
  assert.doesNotMatch(checked.stdout, /warning/);
  // Then at ports that the system chooses.
  writeFileSync(file, text.replaceAll(/^(address|listen) = "(?!unix:).*"/gm, '$1 = "127.0.0.1:0"'));
  return Object.assign(await startRunnel(t, ['serve', '-c', file], { folder: place, env }), { said });
}

/** The token that `runnel token` has shown. */
function tokenOf({ said }: Example): string {
  const [, token = ''] = /: ([\w-]{40,})$/m.exec(said) ?? [];
  assert.ok(token !== '', said);
  return token;
}

/** The page is there, and the stream behind it says something. */
async function live(running: Running, headers: { readonly [name: string]: string } = {}): Promise<string> {
  const page = await ask(running.port, '/', { headers });
  assert.equal(page.status, 200);
  assert.match(page.body, /'live'|"live"/);
  const viewer = await EventClient.open(running.port, '/live', headers);
  const [first = ''] = await viewer.first(1);
  viewer.close();
  return first;
}

test('each example says how it is started, is short, stands in the table, and has a test here', () => {
  assert.ok(NAMES.length >= 10, `${NAMES.length} examples`);
  const table = readFileSync(join(EXAMPLES, '../README.md'), 'utf8');
  const source = readFileSync('test/config/examples.test.ts', 'utf8');
  for (const name of NAMES) {
    const lines = readFileSync(join(EXAMPLES, name), 'utf8').trimEnd().split('\n');
    assert.ok(lines.length < MAX_LINES, `${name} has ${lines.length} lines`);
    assert.ok(
      lines.some((line) => line.startsWith(`#   runnel serve -c ${name} `)),
      `${name} does not say how it is started`,
    );
    assert.ok(table.includes(`](examples/${name})`), `config/README.md does not name ${name}`);
    assert.ok(source.includes(`start(t, '${name}'`), `${name} has no test`);
  }
});

test('sensor: the lines of a script, and the past for a late viewer', async (t) => {
  const running = await start(t, 'sensor.toml');
  const first = await live(running);
  assert.match(first, /^\d\d:\d\d:\d\d {2}(load [\d.]+|-?\d+\.\d °C)$/);
  const late = await EventClient.open(running.port, '/live');
  assert.equal((await late.first(1))[0], first);
  late.close();
  assert.equal((await ask(running.port, '/live', { method: 'POST', body: 'no' })).status, 405);
});

test('old-cgi: the program answers as before, and is a stream', async (t) => {
  const running = await start(t, 'old-cgi.toml');
  assert.match(await live(running), /^\{"host":/);
  assert.match((await ask(running.port, '/cgi-bin/status.cgi')).body, /^\{"host":/);
});

test('https: a certificate of its own, a password, and a redirect', async (t) => {
  const running = await start(t, 'https.toml');
  const ca = readFileSync(join(running.folder, 'tls/ca.pem'));
  const trust = { ca, servername: 'board.local', rejectUnauthorized: true };
  assert.equal((await askSecurely(running.port, '/', trust)).status, 401);
  assert.equal((await askSecurely(running.port, '/', { ...trust, headers: ann })).status, 200);
  const open = { ...trust, headers: ann };
  const socket = await TestSocket.open(`wss://localhost:${running.port}/live`, open);
  assert.equal((await socket.first(1)).length, 1);
  socket.ws.terminate();
  const plain = await ask(running.ports[1] ?? 0, '/', { headers: { host: 'board.local' } });
  assert.equal(plain.status, 301);
  assert.equal(plain.headers['location'], `https://board.local:${running.port}/`);
});

test('camera: a page, and one picture', async (t) => {
  const running = await start(t, 'camera.toml');
  assert.match((await ask(running.port, '/')).body, /<img src="live"/);
  const picture = await fetch(running.url('/live?transport=last'));
  assert.equal(picture.headers.get('content-type'), 'image/jpeg');
  assert.deepEqual([...Buffer.from(await picture.arrayBuffer()).subarray(0, 3)], [0xff, 0xd8, 0xff]);
});

test('mqtt: topics for pages, and MQTT for clients', async (t) => {
  if (!HAS_MOSQUITTO || !existsSync('/usr/bin/mosquitto_sub')) return t.skip('needs mosquitto and mosquitto-clients');
  const { port } = await startMosquitto(t);
  const running = await start(t, 'mqtt.toml', {
    instead: { '"-h", "127.0.0.1"': `"-h", "127.0.0.1", "-p", "${port}"`, '127.0.0.1:1883': `127.0.0.1:${port}` },
  });
  const client = await mqtt.connectAsync(`ws://127.0.0.1:${running.port}/mqtt`);
  await client.publishAsync('sensors/room', '21.5', { retain: true });
  const message = JSON.parse(await live(running)) as { readonly topic: string; readonly payload: number };
  assert.deepEqual([message.topic, String(message.payload)], ['sensors/room', '21.5']);
  await client.endAsync();
});

test('app: the application, its files, its WebSocket, and a stream beside it', async (t) => {
  const app = await httpUpstream(t, (request, response) => response.end(`the application has ${request.url}`));
  const sockets = new WebSocketServer({ server: app.server });
  sockets.on('connection', (socket) => socket.send('hello'));
  const running = await start(t, 'app.toml', { instead: { '127.0.0.1:3000': `127.0.0.1:${app.port}` } });
  assert.equal((await ask(running.port, '/orders?page=2')).body, 'the application has /orders?page=2');
  const file = await ask(running.port, '/assets/style.css');
  assert.deepEqual([file.status, file.headers['cache-control']], [200, 'max-age=3600']);
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/socket`);
  assert.deepEqual(await socket.first(1), ['hello']);
  socket.ws.terminate();
  const viewer = await EventClient.open(running.port, '/live');
  await viewer.first(1);
  viewer.close();
  assert.ok(app.asked.every(({ url }) => !url.startsWith('/assets')));
});

test('behind-nginx: by its Unix socket, with its client', async (t) => {
  if (!existsSync(NGINX)) return t.skip('needs nginx');
  const socket = join(folderWith(t, {}), 'http.sock');
  const running = await start(t, 'behind-nginx.toml', { instead: { '/run/runnel/http.sock': socket } });
  const location = readFileSync(join(EXAMPLES, '../../deploy/proxy/nginx.conf'), 'utf8')
    .split('\n')
    .filter((line) => /^ +proxy_(set_header|http_version|buffering|read_timeout)/.test(line))
    .map((line) => line.replace('$runnel_connection', '"upgrade"').replace('$proxy_add_x_forwarded_for', '192.0.2.7'))
    .join('\n');
  const port = await nginx(t, socket, location);
  const headers = { host: 'board.example.org' };
  assert.match((await ask(port, '/', { headers })).body, /Live readings/);
  assert.match((await ask(port, '/cgi-bin/status.cgi', { headers })).body, /^\{"host":/);
  const viewer = await TestSocket.open(`ws://127.0.0.1:${port}/live`, { headers });
  await viewer.first(1);
  viewer.ws.terminate();
  assert.equal((await ask(port, '/', { headers: { host: 'other.example.org' } })).status, 421);
  const line = await running.logged(({ target, status }) => target === '/cgi-bin/status.cgi' && status === 200);
  assert.equal(line['client'], '192.0.2.7');
});

test('notes: a board for people, kept over a restart, and one for scripts', async (t) => {
  const running = await start(t, 'notes.toml');
  assert.match((await ask(running.port, '/')).body, /<h1>Notes/);
  assert.equal((await ask(running.port, '/live', { method: 'POST', body: 'tea is ready' })).status, 202);
  assert.equal((await ask(running.port, '/api', { method: 'POST', body: 'no' })).status, 401);
  const headers = { authorization: `Bearer ${tokenOf(running)}` };
  assert.equal((await ask(running.port, '/api', { method: 'POST', body: 'yes', headers })).status, 202);
  assert.equal(await running.stop(), 0);
  const again = await startRunnel(t, ['serve', '-c', join(running.folder, 'notes.toml')], { folder: running.folder });
  assert.equal(await live(again), 'tea is ready');
});

test('esp: one connection to the device, and its switch', async (t) => {
  const device = await httpUpstream(t, (request, response) => {
    if (request.method === 'POST') return response.writeHead(200).end();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    return response.write('event: ping\ndata: {}\n\nevent: state\ndata: {"id":"sensor-room","value":21.5}\n\n');
  });
  const running = await start(t, 'esp.toml', { instead: { 'esp.lan': `127.0.0.1:${device.port}` } });
  assert.equal(await live(running), '{"id":"sensor-room","value":21.5}');
  assert.equal(await live(running), '{"id":"sensor-room","value":21.5}');
  assert.equal((await ask(running.port, '/live', { method: 'POST', body: '' })).status, 200);
  assert.deepEqual(
    device.asked.map(({ method, url }) => `${method} ${url}`),
    ['GET /events', 'POST /switch/relay/toggle'],
  );
});

test('journal: the log of the machine, for those who have an account', async (t) => {
  const file = join(folderWith(t, { syslog: 'kernel: hello\n' }), 'syslog');
  const running = await start(t, 'journal.toml', {
    instead: { '/var/log/syslog': file },
    programs: { journalctl: '#!/bin/sh\necho "2026-11-28T09:14:03+0100 board sshd[712]: $*"\nexec sleep 1000\n' },
  });
  for (const path of ['/', '/live', '/file']) assert.equal((await ask(running.port, path)).status, 401);
  assert.match(await live(running, ann), /--follow --lines=50 --output=short-iso$/);
  const viewer = await EventClient.open(running.port, '/file', ann);
  assert.deepEqual(await viewer.first(1), ['kernel: hello']);
  viewer.close();
});

test('operating: the status page for a person, the metrics for Prometheus', async (t) => {
  const running = await start(t, 'operating.toml');
  await live(running);
  assert.equal((await ask(running.port, '/ops/')).status, 401);
  assert.equal((await ask(running.port, '/ops/', { headers: ann })).status, 200);
  const admin = running.ports.at(-1) ?? 0;
  assert.equal((await ask(admin, '/metrics')).status, 401);
  const metrics = await ask(admin, '/metrics', { headers: { authorization: `Bearer ${tokenOf(running)}` } });
  assert.match(metrics.body, /^runnel_http_requests_total/m);
  assert.equal((await ask(admin, '/readyz')).status, 200);
});

describe('the pages of the examples, in a browser', { skip: noBrowser }, () => {
  const browser = testBrowser();
  const PAGES = [
    ['sensor.toml', 'li'],
    ['notes.toml', 'li'],
    ['camera.toml', 'img'],
  ] as const;
  for (const [name, shown] of PAGES)
    test(name, async (t) => {
      const running = await start(t, name);
      const context = await (await browser()).newContext({ viewport: { width: 360, height: 640 } });
      t.after(() => context.close());
      const page = await context.newPage();
      const wrong: string[] = [];
      page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
      page.on('pageerror', (error) => wrong.push(error.message));
      await page.goto(running.url('/'));
      if (name === 'notes.toml') {
        await until('the board is connected', async () => (await page.textContent('#state')) === 'connected');
        await page.fill('#note', 'tea is ready');
        await page.press('#note', 'Enter');
      }
      await page.locator(shown).first().waitFor();
      if (name === 'camera.toml')
        await until('a picture', () => page.evaluate('document.images[0].naturalWidth > 100'));
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
      assert.deepEqual(wrong, []);
    });
});
