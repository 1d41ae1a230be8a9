/** The status page, its data and its stream; the actions; who gets them; and `runnel status`. */
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { GatewayStatus } from '../../../src/ops/status.ts';
import { makeSelfSignedServer } from '../../../src/tls/making/lan.ts';
import { ask, TestSocket } from '../../support/client.ts';
import { folderWith, type Running, runnel, startGateway } from '../../support/gateway.ts';
import { ask2, openSession } from '../../support/http2.ts';
import { until } from '../../support/processes.ts';

const DEMO = `
[[listen]]
address = "127.0.0.1:0"
[static."/"]
root = "www"
[cgi."/cgi/"]
root = "cgi"
[stream."/shared"]
command = ["./numbers"]
share = "all"
history = 10
restart_delay = "10ms"
[stream."/cat"]
command = ["cat"]
`;
const FILES = {
  'www/index.html': 'hello',
  'cgi/bad': '#!/bin/sh\necho "last words of bad" >&2\nexit 3\n',
  'cgi/rude': '#!/bin/sh\nprintf "\\302\\2332J\\342\\200\\256\\177\\n" >&2\nexit 1\n',
  numbers: '#!/bin/sh\necho "I begin" >&2\necho one; echo two; printf "\\033[31mthree\\n"; exec cat\n',
};

interface Operated {
  readonly running: Running;
  readonly admin: number;
  status(): Promise<GatewayStatus & { readonly actions: boolean }>;
  act(action: object, headers?: { readonly [name: string]: string }): Promise<{ status: number; body: string }>;
}

async function operated(t: TestContext, admin = '', more = ''): Promise<Operated> {
  const config = `${DEMO}${more}\n[admin]\nlisten = "127.0.0.1:0"\n${admin}`;
  const running = await startGateway(t, { config, files: FILES });
  const port = running.ports.at(-1) ?? 0;
  return {
    running,
    admin: port,
    status: async () => JSON.parse((await ask(port, '/status.json')).body) as GatewayStatus & { actions: boolean },
    act: async (action, headers = {}) =>
      await ask(port, '/status/act', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(action),
      }),
  };
}

test('the data has everything that there is', async (t) => {
  const { running, status } = await operated(t);
  await ask(running.port, '/');
  await ask(running.port, '/gone');
  assert.equal((await ask(running.port, '/cgi/bad')).status, 502);
  const viewer = await TestSocket.open(`ws://127.0.0.1:${running.port}/shared`);
  await viewer.first(3);
  const own = await TestSocket.open(`ws://127.0.0.1:${running.port}/cat`);
  own.ws.send('hello');
  await own.first(1);
  await until('stderr was read', async () => (await status()).programs.some(({ words }) => words.includes('I begin')));

  await until('its last words were read', async () => (await status()).failures.some(({ words }) => words.length > 0));
  const { listeners, routes, streams, programs, failures, trouble, ...gateway } = await status();
  assert.equal(gateway.ready, true);
  assert.equal(gateway.actions, false);
  assert.match(gateway.configuration.file ?? '', /runnel\.toml$/);
  assert.ok(gateway.memory.resident > 1e6 && gateway.totals.resident > 1e6);
  assert.equal(gateway.totals.viewers, 2);
  assert.deepEqual(
    listeners.map(({ admin, connections, down }) => [admin, connections, down]),
    [
      [false, 2, false],
      [true, undefined, false],
    ],
  );
  const files = routes.find(({ key }) => key === '/');
  assert.deepEqual([files?.kind, files?.requests, files?.statuses], ['static', 2, { '2xx': 1, '4xx': 1 }]);
  const [shared, cat] = streams;
  assert.deepEqual([shared?.key, shared?.source, shared?.share, shared?.viewers], ['/shared', 'command', 'all', 1]);
  assert.deepEqual(shared?.transports, { websocket: 1 });
  const channel = shared?.channels[0];
  assert.equal(channel?.source.state, 'running');
  assert.deepEqual(
    channel?.last.map(({ text }) => text),
    ['\\u001b[31mthree', 'two', 'one'],
  );
  assert.equal(channel?.clients[0]?.address, '127.0.0.1');
  assert.deepEqual([cat?.share, cat?.channels.length, cat?.messagesIn, cat?.messagesOut], ['client', 1, 1, 1]);
  assert.deepEqual(cat?.channels[0]?.last, [], 'what a client of its own says is not shown');
  assert.equal(programs.length, 2);
  assert.equal(programs.find(({ route }) => route === '/shared')?.pid, channel?.source.pid);
  assert.ok(programs.every(({ resident = 0, processor }) => resident > 1000 && processor !== undefined));
  assert.deepEqual([failures[0]?.route, failures[0]?.how], ['/cgi/', 'exit 3']);
  assert.deepEqual(failures[0]?.words, ['last words of bad']);
  assert.ok(trouble.some(({ level, fields }) => level === 'error' && typeof fields['id'] === 'string'));
  assert.equal(await running.stop(), 0);
});

test('a program that fails is restarted for viewers, and idle without them', async (t) => {
  const more = `[stream."/fails"]\ncommand = ["sh", "-c", "exit 7"]\nshare = "all"\nrestart_delay = "1h"\nrestart_delay_max = "1h"\nidle_stop = "0ms"\n`;
  const { running, status } = await operated(t, '', more);
  const state = async () => (await status()).streams.find(({ key }) => key === '/fails')?.channels[0]?.source;
  const viewer = await TestSocket.open(`ws://127.0.0.1:${running.port}/fails`);
  await until('it has failed', async () => (await state())?.state === 'restarting');
  assert.equal((await state())?.why, 'exit 7');
  viewer.ws.close();
  await viewer.closed;
  await until('nobody waits for it', async () => (await state())?.state === 'idle');
});

test('in the data is nothing that a terminal obeys, also where runnel status prints it', async (t) => {
  const { running, admin, status, act } = await operated(t, 'actions = true\n');
  assert.equal((await ask(running.port, '/cgi/rude')).status, 502);
  const words = async () => (await status()).trouble.map(({ message }) => message).join();
  await until('it was said', async () => (await words()).includes('\u009b2J\u202e\u007f'));
  const printed = await runnel(['status', '--json', '-c', 'runnel.toml'], running.folder);
  const { body } = await act({ action: 'end-client', route: '/\u009b2J\u202e\u007f', client: '0.c1' });
  const shown = [(await ask(admin, '/status.json')).body, printed.stdout.trimEnd(), body];
  for (const text of shown) {
    assert.doesNotMatch(text, /[\x00-\x1f\x7f-\x9f\u202e]/);
    assert.match(text, /\\u009b2J\\u202e\\u007f/);
  }
});

test('the stream tells everything and then what has changed, and ends with the gateway', async (t) => {
  const { running, admin } = await operated(t);
  const viewer = await TestSocket.open(`ws://127.0.0.1:${admin}/status/live`);
  const [first = ''] = await viewer.first(1);
  const whole = JSON.parse(first.toString()) as { whole: boolean; set: { [name: string]: unknown } };
  assert.equal(whole.whole, true);
  assert.ok(Object.keys(whole.set).includes('streams /shared'));
  await ask(running.port, '/');
  let changes: { whole: boolean; set: { [name: string]: { requests?: number } } } | undefined;
  await until('a change is told', async () => {
    const all = viewer.messages
      .slice(1)
      .map((message) => JSON.parse(message.toString()) as NonNullable<typeof changes>);
    changes = all.find(({ set }) => set['routes static /'] !== undefined);
    return changes !== undefined;
  });
  assert.equal(changes?.whole, false);
  assert.equal(changes?.set['routes static /']?.requests, 1);
  assert.equal(changes?.set['streams /cat'], undefined);
  assert.equal(await running.stop(), 0);
  await viewer.closed;
});

test('nothing can be done unless the configuration says so', async (t) => {
  const { act, admin, running } = await operated(t);
  assert.equal((await act({ action: 'reload' })).status, 403);
  assert.equal((await ask(admin, '/status/console?to=/cat')).status, 403);
  assert.equal((await ask(admin, '/status.json', { headers: { host: 'evil.example' } })).status, 421);
  assert.equal((await ask(admin, '/', { headers: { host: 'evil.example' } })).status, 421);
  assert.equal((await ask(admin, '/nothing')).status, 404);
  assert.equal((await ask(running.port, '/status.json')).status, 404);
});

test('actions: reload, end a program, end a client, maintenance; each is logged with who', async (t) => {
  const { act, admin, running, status } = await operated(t, 'actions = true');
  const viewer = await TestSocket.open(`ws://127.0.0.1:${running.port}/shared`);
  await viewer.first(1);
  const other = await TestSocket.open(`ws://127.0.0.1:${running.port}/cat`);

  assert.equal((await act({ action: 'reload' })).status, 200);
  assert.equal((await running.logged(({ message }) => message === 'operator: reload'))['by'], '127.0.0.1');
  assert.equal((await status()).configuration.reload?.ok, true);

  const before = (await status()).streams[0]?.channels[0]?.source.pid ?? 0;
  assert.equal((await act({ action: 'restart', pid: before })).status, 200);
  await until('another one runs', async () => {
    const { pid = before } = (await status()).streams[0]?.channels[0]?.source ?? {};
    return pid !== before;
  });
  assert.equal((await status()).streams[0]?.channels[0]?.restarts, 1);
  assert.equal((await act({ action: 'restart', pid: before })).status, 409);

  for (const [stream, route, socket] of [
    [0, '/shared', viewer],
    [1, '/cat', other],
  ] as const) {
    const client = (await status()).streams[stream]?.channels[0]?.clients[0]?.name ?? '';
    assert.equal((await act({ action: 'end-client', route, client })).status, 200);
    assert.equal((await socket.closed).code, 1008);
    assert.equal((await act({ action: 'end-client', route, client })).status, 409);
  }

  const { name: listener = '' } = (await status()).listeners[0] ?? {};
  assert.equal((await act({ action: 'maintenance', listener, down: true })).status, 200);
  const notReady = await ask(admin, '/readyz');
  assert.deepEqual([notReady.status, notReady.body.includes('down for maintenance')], [503, true]);
  assert.equal((await ask(running.port, '/')).status, 200, 'it serves');
  assert.equal((await status()).ready, false);
  assert.equal((await act({ action: 'maintenance', listener, down: false })).status, 200);
  assert.equal((await ask(admin, '/readyz')).status, 200);
  assert.equal((await act({ action: 'maintenance', listener: 'none', down: true })).status, 409);

  // Other sites, forms, and what is no action.
  assert.equal((await act({ action: 'reload' }, { origin: 'http://evil.example' })).status, 403);
  assert.equal((await act({ action: 'reload' }, { 'sec-fetch-site': 'cross-site' })).status, 403);
  assert.equal((await act({ action: 'reload' }, { 'content-type': 'text/plain' })).status, 415);
  assert.equal((await act({ action: 'format' })).status, 400);
  assert.equal((await ask(admin, '/status/act')).status, 405);
});

test('who is ended is who was shown, also when channels have gone since, and where two routes have one key', async (t) => {
  const more = `[static."/both"]\nroot = "www"\n[stream."/both"]\ncommand = ["cat"]\nwebsocket_only = true\n[stream."/query"]\ncommand = ["cat"]\nshare = "query"\nidle_stop = "1ms"\n`;
  const { act, running, status } = await operated(t, 'actions = true', more);
  const url = `ws://127.0.0.1:${running.port}`;
  const first = await TestSocket.open(`${url}/query?token=a`);
  const second = await TestSocket.open(`${url}/query?%74oken=b`);
  const queryChannels = async () => (await status()).streams.find(({ key }) => key === '/query')?.channels ?? [];
  const before = await queryChannels();
  assert.deepEqual(
    before.map(({ name }) => name),
    ['?token=(hidden)', '?%74oken=(hidden)'],
  );
  assert.notEqual(before[0]?.id, before[1]?.id);
  const client = before[0]?.clients[0]?.name ?? '';
  first.ws.close();
  await until('the first channel is gone', async () => (await queryChannels()).length === 1);
  assert.equal((await act({ action: 'end-client', route: '/query', client })).status, 409);
  const other = (await queryChannels())[0]?.clients[0]?.name ?? '';
  assert.equal(other, before[1]?.clients[0]?.name);
  assert.equal((await act({ action: 'end-client', route: '/query', client: other })).status, 200);
  assert.equal((await second.closed).code, 1008);

  const own = await TestSocket.open(`${url}/both`);
  const name = (await status()).streams.find(({ key }) => key === '/both')?.channels[0]?.clients[0]?.name ?? '';
  assert.equal((await act({ action: 'end-client', route: '/both', client: name })).status, 200);
  assert.equal((await own.closed).code, 1008);
});

test('a listener that is down for maintenance is forgotten when a reload closes it', async (t) => {
  const { act, admin, running, status } = await operated(
    t,
    'actions = true',
    '[[listen]]\naddress = "unix:second.sock"\n',
  );
  const listener = (await status()).listeners.find(({ name }) => name.includes('second.sock'))?.name ?? '';
  assert.equal((await act({ action: 'maintenance', listener, down: true })).status, 200);
  assert.equal((await act({ action: 'reload' })).status, 200);
  assert.equal((await ask(admin, '/readyz')).status, 503, 'a reload that leaves it open changes nothing');
  const config = `${DEMO}[admin]\nlisten = "127.0.0.1:0"\nactions = true\n`;
  writeFileSync(join(running.folder, 'runnel.toml'), config);
  assert.equal((await act({ action: 'reload' })).status, 200);
  assert.deepEqual((await status()).notReady, []);
  assert.equal((await ask(admin, '/readyz')).status, 200);
});

test('the console tries a stream by each transport, and asks what its route asks', async (t) => {
  const config = `${DEMO}[stream."/locked"]\ncommand = ["cat"]\nauth = { tokens = "tokens" }\n[admin]\nlisten = "127.0.0.1:0"\nactions = true\n`;
  const gateway = await startGateway(t, { config, files: { ...FILES, tokens: `me:${'0'.repeat(64)}\n` } });
  const port = gateway.ports.at(-1) ?? 0;
  const socket = await TestSocket.open(`ws://127.0.0.1:${port}/status/console?to=/cat`);
  socket.ws.send('hello');
  assert.equal(String((await socket.first(1))[0]), 'hello');
  const poll = await ask(port, '/status/console?to=/shared&transport=poll');
  assert.equal(poll.status, 200);
  assert.match(poll.body, /"cursor"/);
  assert.equal((await ask(port, '/status/console?to=/shared', { method: 'POST', body: 'x' })).status, 202);
  for (const [to, status] of [
    ['/locked', 403],
    ['/', 404],
    ['/cgi/bad', 404],
    ['nowhere', 400],
  ] as const)
    assert.equal((await ask(port, `/status/console?to=${to}`)).status, status, to);
});

test('[admin] may be a Unix socket, and runnel status finds it there', async (t) => {
  const config = `${DEMO}[admin]\nlisten = "unix:admin.sock"\nmode = "0600"\n`;
  const running = await startGateway(t, { config, files: FILES });
  const path = join(running.folder, 'admin.sock');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const status = await new Promise((resolve, reject) => {
    request({ socketPath: path, path: '/status.json', headers: { host: 'localhost' } }, (answer) => {
      resolve(answer.statusCode);
      answer.resume();
    })
      .on('error', reject)
      .end();
  });
  assert.equal(status, 200);
  const shown = await runnel(['status', '-c', 'runnel.toml'], running.folder);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /^runnel \S+ {2}ready {2}up /);
  assert.match(shown.stdout, /\/shared +command +idle/);
  assert.doesNotMatch(shown.stdout, /\x1b/);
  const json = await runnel(['status', '--json'], running.folder);
  assert.equal((JSON.parse(json.stdout) as GatewayStatus).ready, true);
  assert.deepEqual(await runnel(['status', '-q'], running.folder), { code: 0, stdout: '', stderr: '' });
  assert.equal(await running.stop(), 0);
  const gone = await runnel(['status'], running.folder);
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /does not answer, because no gateway listens there/);
  assert.equal((await runnel(['status', '--user', 'x'], running.folder)).code, 2);
});

test('with auth, only who proves himself sees it; /healthz and /readyz say yes or no', async (t) => {
  // The digest of "secret".
  const tokens = 'op:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n';
  const config = `${DEMO}[status."/ops/"]\nauth = { tokens = "tokens" }\nhosts = ["board.test"]\n[admin]\nlisten = "127.0.0.1:0"\nauth = { tokens = "tokens" }\nactions = true\n`;
  const running = await startGateway(t, { config, files: { ...FILES, tokens, token: 'secret\n' } });
  const port = running.ports.at(-1) ?? 0;
  const proof = { authorization: 'Bearer secret' };
  for (const path of ['/', '/status.json', '/metrics', '/status/live'])
    assert.equal((await ask(port, path)).status, 401, path);
  assert.equal((await ask(port, '/status.json', { headers: proof })).status, 200);
  assert.equal((await ask(port, '/healthz')).body, 'ok\n');
  assert.equal((await ask(port, '/readyz')).body, 'ready\n');
  const action = {
    method: 'POST',
    body: '{"action":"reload"}',
    headers: { ...proof, 'content-type': 'application/json' },
  };
  assert.equal((await ask(port, '/status/act', action)).status, 200);
  assert.equal((await running.logged(({ message }) => message === 'operator: reload'))['by'], 'op');
  // Below a path of a listener.
  const at = (host: string, path: string, headers: { readonly [name: string]: string } = proof) =>
    ask(running.port, path, { headers: { ...headers, host } });
  assert.equal((await at('board.test', '/ops/', {})).status, 401);
  assert.match((await at('board.test', '/ops/')).body, /<title>runnel status<\/title>/);
  assert.equal((await at('board.test', '/ops/status.json')).status, 200);
  assert.equal((await at('evil.example', '/ops/status.json')).status, 421);
  assert.equal((await ask(running.port, '/ops/status/act', action)).status, 403, 'its own actions are off');
  const file = folderWith(t, { 'runnel.toml': `[admin]\nlisten = "127.0.0.1:${port}"\n`, token: 'secret\n' });
  assert.match((await runnel(['status'], file)).stderr, /asks who you are/);
  assert.equal((await runnel(['status', '--token-file', 'token'], file)).code, 0);
});

test('by HTTP/2 it looks at :authority, and takes actions of its own origin alone', async (t) => {
  const { certificate, key } = makeSelfSignedServer(['board.test'], Date.now());
  // The digest of "secret".
  const tokens = 'op:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n';
  const config = `[[listen]]\naddress = "127.0.0.1:0"\nhttp2 = true\ntls = { certificate = "c.pem", key = "k.pem" }\n[status."/ops/"]\nauth = { tokens = "tokens" }\nhosts = ["board.test"]\nactions = true\n`;
  const running = await startGateway(t, { config, files: { 'c.pem': certificate, 'k.pem': key, tokens } });
  const session = await openSession(running.port);
  t.after(() => session.close());
  const authority = `board.test:${running.port}`;
  const asked = (headers: { readonly [name: string]: string }, body?: string) =>
    ask2(session, { ':authority': authority, authorization: 'Bearer secret', ...headers }, body);
  assert.equal((await asked({ ':path': '/ops/' })).status, 200);
  const data = await asked({ ':path': '/ops/status.json' });
  assert.deepEqual([data.status, data.headers['x-content-type-options']], [200, 'nosniff']);
  for (const path of ['/ops/', '/ops/status.json', '/ops/status/live', '/ops/status/act'])
    assert.equal((await asked({ ':path': path, ':authority': 'evil.example' })).status, 421, path);
  const reload = { ':path': '/ops/status/act', ':method': 'POST', 'content-type': 'application/json' };
  for (const [origin, status] of [
    [`https://${authority}`, 200],
    ['https://board.test', 403],
    [`http://${authority}`, 403],
    ['null', 403],
  ] as const)
    assert.equal((await asked({ ...reload, origin }, '{"action":"reload"}')).status, status, origin);
});
