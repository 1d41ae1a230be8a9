/** HUP on the real gateway: what changes, what stays, and what an error leaves alone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ask, refused, TestSocket } from '../support/client.ts';
import { folderWith, type LogLine, type Running, startGateway, startRunnel } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { descriptorsOf, memoryOf, processes, programsOf, until } from '../support/processes.ts';

const ENGINES = ['uws', 'node'] as const;
const DONE = 'the configuration is reloaded';
const KEPT = 'the configuration is not reloaded; the old one stays in force: ';

function put(running: Running, config: string): void {
  writeFileSync(join(running.folder, 'next.toml'), config);
  renameSync(join(running.folder, 'next.toml'), join(running.folder, 'runnel.toml'));
}

const isResult = ({ message }: LogLine): boolean => message === DONE || message.startsWith(KEPT);

/** Sends HUP and waits for the line that says what came of it. */
async function reload(running: Running, config: string): Promise<LogLine> {
  const before = running.log.filter(isResult).length;
  put(running, config);
  running.process.kill('SIGHUP');
  await until('the reload', () => running.log.filter(isResult).length > before);
  const result = running.log.filter(isResult).at(-1);
  assert(result !== undefined);
  return result;
}

/** What it changed, as the log has it. */
function changes({ message, added, changed, removed, kept }: LogLine) {
  assert.equal(message, DONE);
  return Object.fromEntries(
    Object.entries({ added, changed, removed, kept }).filter(([, value]) => value !== undefined),
  );
}

function portOf(server: Server): number {
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  return address.port;
}

async function take(t: TestContext): Promise<number> {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  return portOf(other);
}

/** Says its process id and then every line that it gets. */
const TELLS = '#!/bin/sh\necho "$$"\nexec cat\n';
const FILES = { 'www/index.html': 'one', 'other/index.html': 'two', 'tells.sh': TELLS };

for (const engine of ENGINES) {
  const base = `stop_timeout = "2s"\n[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`;
  const page = (root: string) => `[static."/"]\nroot = "${root}"\n`;
  const stream = (key: string, more = '') => `[stream."${key}"]\ncommand = ["./tells.sh"]\nshare = "all"\n${more}`;

  test(`${engine}: routes come, change and go; what did not change does not notice`, async (t) => {
    const first = `${base}${page('www')}${stream('/kept', 'history = 10\n')}${stream('/changed')}${stream('/removed')}[stream."/own"]\ncommand = ["./tells.sh"]\n`;
    const running = await startGateway(t, { config: first, files: FILES });
    const open = (path: string) => TestSocket.open(`ws://127.0.0.1:${running.port}${path}`);
    const [kept, changed, removed, own] = await Promise.all(['/kept', '/changed', '/removed', '/own'].map(open));
    assert(kept && changed && removed && own);
    const [pid = ''] = await kept.first(1);
    const [old = ''] = await changed.first(1);
    await removed.first(1);
    await own.first(1);
    assert.equal((await ask(running.port, '/')).body, 'one');
    assert.equal((await ask(running.port, '/new')).status, 404);

    const line = await reload(
      running,
      `${base}${page('other')}${stream('/kept', 'history = 10\n')}${stream('/changed', 'history = 5\n')}[stream."/own"]\ncommand = ["./tells.sh"]\n[stream."/own".headers]\nx-new = "1"\n[cgi."/new"]\ncommand = ["/bin/echo", "-e", "Content-Type: text/plain\\n\\nnew"]\n`,
    );
    assert.deepEqual(changes(line), {
      added: 'cgi."/new"',
      changed: 'static."/", stream."/changed"',
      removed: 'stream."/removed"',
      kept: 3,
    });
    // At once: what the cache holds is another route's.
    assert.equal((await ask(running.port, '/')).body, 'two');
    assert.equal((await ask(running.port, '/new')).body.trim(), 'new');
    assert.equal((await refused(`ws://127.0.0.1:${running.port}/removed`)).status, 404);
    for (const socket of [changed, removed])
      assert.deepEqual(await socket.closed, { code: 1001, reason: 'the configuration has changed' });
    // The one that stays: the same process, the same socket, the same history; and one of its own for each.
    for (const socket of [kept, own]) {
      socket.ws.send('still here');
      await until('the answer', () => socket.messages.includes('still here'));
    }
    const late = await TestSocket.open(`ws://127.0.0.1:${running.port}/kept`);
    assert.deepEqual(await late.first(2), [pid, 'still here']);
    const again = await open('/changed');
    const [young = ''] = await again.first(1);
    assert.notEqual(young, old);
    await until('the end of the old program', () => processes().every((each) => each.pid !== Number(old)));
    assert.equal(await running.stop(), 0);
    await until('the end of all', () => processes().every((each) => ![pid, young].includes(String(each.pid))));
  });

  test(`${engine}: a request under way is finished by the program that it began with`, async (t) => {
    const slow = (word: string) =>
      `${base}[cgi."/slow"]\ncommand = ["./slow.sh", "${word}"]\n[stream."/s"]\ncommand = ["cat"]\n`;
    const running = await startGateway(t, {
      config: slow('old'),
      files: {
        'slow.sh':
          '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\necho "$1"\n: >begun-$1\nwhile [ ! -e go ]; do sleep 0.05; done\necho end\n',
      },
    });
    const answer = ask(running.port, '/slow');
    await until('its program', () => existsSync(join(running.folder, 'begun-old')));
    assert.equal(changes(await reload(running, slow('new')))['changed'], 'cgi."/slow"');
    const next = ask(running.port, '/slow');
    await until('the new one', () => existsSync(join(running.folder, 'begun-new')));
    writeFileSync(join(running.folder, 'go'), '');
    assert.equal((await answer).body, 'old\nend\n');
    assert.equal((await next).body, 'new\nend\n');
    assert.equal(await running.stop(), 0);
  });

  test(`${engine}: listeners come, change and go`, async (t) => {
    const [here, there] = [await freePort(), await freePort()];
    const listen = (port: number, more = '') =>
      `[[listen]]\naddress = "127.0.0.1:${port}"\nengine = "${engine}"\n${more}`;
    const rest = `${page('www')}[stream."/s"]\ncommand = ["cat"]\n`;
    const running = await startGateway(t, {
      config: `stop_timeout = "1s"\n${listen(0)}${listen(here)}${rest}`,
      files: FILES,
    });
    const staying = await TestSocket.open(`ws://127.0.0.1:${running.port}/s`);
    const leaving = await TestSocket.open(`ws://127.0.0.1:${here}/s`);
    let line = await reload(running, `stop_timeout = "1s"\n${listen(0)}${listen(there)}${rest}`);
    assert.deepEqual(changes(line), {
      added: `listen "127.0.0.1:${there}"`,
      removed: `listen "127.0.0.1:${here}"`,
      kept: 3,
    });
    assert.equal((await ask(there, '/')).body, 'one');
    await assert.rejects(ask(here, '/'), /ECONNREFUSED/);
    // It had the time that it would have had on stopping.
    await leaving.closed;
    staying.ws.send('x');
    assert.deepEqual(await staying.first(1), ['x']);

    // The same port, by another engine, on another address, or sending elsewhere.
    const other = engine === 'uws' ? 'node' : 'uws';
    line = await reload(
      running,
      `stop_timeout = "1s"\n${listen(0)}[[listen]]\naddress = "0.0.0.0:${there}"\nengine = "${other}"\n${rest}`,
    );
    assert.deepEqual(changes(line), { changed: `listen "0.0.0.0:${there}"`, kept: 3 });
    assert.equal((await ask(there, '/')).body, 'one');
    line = await reload(
      running,
      `stop_timeout = "1s"\n${listen(0)}[[listen]]\naddress = "0.0.0.0:${there}"\nengine = "${other}"\nredirect = "https:8443"\n${rest}`,
    );
    assert.deepEqual(changes(line), { kept: 4 });
    assert.equal((await ask(there, '/')).headers['location'], 'https://127.0.0.1:8443/');
    staying.ws.send('y');
    assert.deepEqual(await staying.first(2), ['x', 'y']);
    assert.equal(await running.stop(), 0);
  });

  test(`${engine}: a port that cannot be had changes nothing, not even what could be opened`, async (t) => {
    const [mine, free, taken] = [await freePort(), await freePort(), await take(t)];
    const listen = (port: number, more = '') => `[[listen]]\naddress = "127.0.0.1:${port}"\n${more}`;
    const first = `stop_timeout = "1s"\n${listen(mine, `engine = "${engine}"\n`)}${page('www')}${stream('/s')}`;
    const running = await startGateway(t, { config: first, files: FILES });
    const socket = await TestSocket.open(`ws://127.0.0.1:${mine}/s`);
    const line = await reload(
      running,
      `${listen(mine, 'engine = "auto"\n')}${listen(free)}${listen(taken)}${page('other')}`,
    );
    assert.match(line.message, new RegExp(`in force: cannot listen on 127\\.0\\.0\\.1:${taken}: .*in use`));
    assert.equal((await ask(mine, '/')).body, 'one');
    await assert.rejects(ask(free, '/'), /ECONNREFUSED/);
    socket.ws.send('x');
    await until('the answer', () => socket.messages.includes('x'));
    // And the next reload begins where the first one did.
    assert.deepEqual(changes(await reload(running, first)), { kept: 3 });
    assert.equal(await running.stop(), 0);
  });
}

test('a listener that was closed for another one comes back when that cannot be had', async (t) => {
  // The same port on another address of this machine.
  const other = createServer().listen(0, '127.0.0.2');
  await once(other, 'listening');
  t.after(() => other.close());
  const port = portOf(other);
  const rest = '[static."/"]\nroot = "www"\n[stream."/s"]\ncommand = ["cat"]\n';
  const listen = (host: string, engine: string) => `[[listen]]\naddress = "${host}:${port}"\nengine = "${engine}"\n`;
  const first = `${listen('127.0.0.1', 'uws')}${rest}`;
  const running = await startGateway(t, { config: first, files: FILES });
  const socket = await TestSocket.open(`ws://127.0.0.1:${port}/s`);
  const line = await reload(running, `${listen('127.0.0.1', 'node')}${listen('127.0.0.2', 'uws')}${rest}`);
  assert.match(line.message, /in force: cannot listen on 127\.0\.0\.2:\d+: .*in use/);
  assert.equal((await ask(port, '/')).body, 'one');
  socket.ws.send('x');
  assert.deepEqual(await socket.first(1), ['x']);
  // And it is still one that a reload can change.
  assert.deepEqual(changes(await reload(running, `${first}[cgi."/c"]\ncommand = ["true"]\n`)), {
    added: 'cgi."/c"',
    kept: 3,
  });
  assert.equal((await ask(port, '/')).body, 'one');
  assert.equal(await running.stop(), 0);
});

const PLAIN = 'stop_timeout = "1s"\n[[listen]]\naddress = "127.0.0.1:0"\n';
const ADMIN = '[admin]\nlisten = "127.0.0.1:0"\n';

test('an error keeps everything, says every problem, and is counted', async (t) => {
  const first = `${PLAIN}[static."/"]\nroot = "www"\n[stream."/s"]\ncommand = ["cat"]\n${ADMIN}`;
  const running = await startGateway(t, { config: first, files: FILES });
  const [port = 0, admin = 0] = running.ports;
  const socket = await TestSocket.open(`ws://127.0.0.1:${port}/s`);
  const metrics = async () => (await ask(admin, '/metrics')).body;
  assert.match(await metrics(), /^runnel_config_last_reload_successful 1$/m);
  const wrong: readonly [config: string, problem: RegExp][] = [
    [`${PLAIN}[static."/"]\nrot = "www"\n`, /runnel\.toml:5:1: static\."\/"\.rot: unknown key/],
    // As an editor leaves it for a moment.
    [first.slice(0, 60), /runnel\.toml:/],
    ['', /is empty/],
    [`${PLAIN}[static."/"]\nroot = "gone"\n`, /the folder "gone"/],
  ];
  for (const [config, problem] of wrong) {
    const seen = running.log.length;
    const line = await reload(running, config);
    assert.match(line.message, /^the configuration is not reloaded; the old one stays in force: \d problems?$/);
    assert.equal(line.level, 'error');
    const told = running.log.slice(seen).filter(({ level }) => level === 'error');
    assert(
      told.some(({ message }) => problem.test(message)),
      JSON.stringify(told),
    );
    assert.equal((await ask(port, '/')).body, 'one');
  }
  const after = await metrics();
  assert.match(after, /^runnel_config_reloads_total\{result="failed"\} 4$/m);
  assert.match(after, /^runnel_config_last_reload_successful 0$/m);
  assert.deepEqual(changes(await reload(running, first)), { kept: 4 });
  const well = await metrics();
  assert.match(well, /^runnel_config_reloads_total\{result="ok"\} 1$/m);
  assert.match(well, /^runnel_config_last_reload_successful 1$/m);
  const at = Number(/^runnel_config_last_reload_success_timestamp_seconds (\d+)$/m.exec(well)?.[1]);
  assert(Math.abs(at - Date.now() / 1000) < 60, String(at));
  socket.ws.send('x');
  assert.deepEqual(await socket.first(1), ['x']);
  assert.equal(await running.stop(), 0);
});

test('limits, headers, defaults and the log hold for new requests; what cannot change is named', async (t) => {
  const config = (more: string) =>
    `${PLAIN}${more}[cgi."/c"]\ncommand = ["./c.sh"]\n[stream."/s"]\ncommand = ["cat"]\n`;
  const running = await startGateway(t, {
    config: config(''),
    files: { 'c.sh': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\ncat\n' },
  });
  const body = 'x'.repeat(100);
  assert.equal((await ask(running.port, '/c', { method: 'POST', body })).body, body);
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/s`);
  const line = await reload(
    running,
    config(
      '[defaults.headers]\nx-from = "defaults"\n[defaults.limits]\nbody = "10B"\n[connections]\nheader_bytes = "8KiB"\nmax = 5\n[processes]\nmax = 1\nspawner = "child_process"\n',
    ),
  );
  assert.deepEqual(changes(line), {
    changed: 'cgi."/c", stream."/s", connections, defaults, processes',
    kept: 1,
  });
  assert.equal(
    (await running.logged(({ message }) => message.startsWith('a restart is needed'))).message,
    'a restart is needed for connections.header_bytes, processes.spawner',
  );
  // Limits of messages are among those of its route.
  assert.equal((await socket.closed).code, 1001);
  const late = await ask(running.port, '/c', { method: 'POST', body });
  assert.equal(late.status, 413);
  assert.equal(late.headers['x-from'], 'defaults');
  const one = await TestSocket.open(`ws://127.0.0.1:${running.port}/s`);
  assert.equal((await refused(`ws://127.0.0.1:${running.port}/s`)).status, 503);
  one.ws.close();

  await once(one.ws, 'close');
  assert.equal(await running.stop(), 0);
});

test('header fields alone close nobody, and the level of the log changes', async (t) => {
  const config = (value: string, level: string) =>
    `${PLAIN}[defaults.headers]\nx-from = "${value}"\n[stream."/s"]\ncommand = ["cat"]\n[static."/"]\nroot = "www"\n[log]\nlevel = "${level}"\n`;
  const running = await startGateway(t, { config: config('one', 'info'), files: FILES });
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/s`);
  assert.deepEqual(changes(await reload(running, config('two', 'info'))), { changed: 'defaults', kept: 3 });
  assert.equal((await ask(running.port, '/')).headers['x-from'], 'two');
  put(running, config('three', 'warn'));
  running.process.kill('SIGHUP');
  await until('the new field', async () => (await ask(running.port, '/')).headers['x-from'] === 'three');
  const lines = running.log.length;
  await ask(running.port, '/');
  socket.ws.send('x');
  assert.deepEqual(await socket.first(1), ['x']);
  assert.deepEqual(running.log.slice(lines), []);
  assert.equal(await running.stop(), 0);
});

test('a program of boot: another one for another configuration, the same one for the same', async (t) => {
  const config = (more: string) =>
    `${PLAIN}[stream."/s"]\ncommand = ["./boots.sh"]\nshare = "all"\nstart = "boot"\nhistory = 5\ninterrupt_after = "0ms"\n${more}`;
  const running = await startGateway(t, {
    config: config(''),
    files: { 'boots.sh': '#!/bin/sh\necho "$$" >>pids\necho "$$"\nexec sleep 1000\n' },
  });
  const pids = () =>
    existsSync(join(running.folder, 'pids'))
      ? readFileSync(join(running.folder, 'pids'), 'utf8').trim().split('\n')
      : [];
  await until('it runs', () => pids().length === 1);
  assert.deepEqual(changes(await reload(running, `# a comment\n${config('')}`)), { kept: 2 });
  assert.equal(changes(await reload(running, config('max_message = "1KiB"\n')))['changed'], 'stream."/s"');
  await until('the other one', () => pids().length === 2);
  const [first = '', second = ''] = pids();
  await until('the end of the first', () => processes().every(({ pid }) => pid !== Number(first)));
  assert(processes().some(({ pid }) => pid === Number(second)));
  assert.equal(await running.stop(), 0);
});

test('the metrics can be switched on and off', async (t) => {
  const rest = '[static."/"]\nroot = "www"\n';
  const running = await startGateway(t, { config: `${PLAIN}${rest}`, files: FILES });
  const port = await freePort();
  const admin = `[admin]\nlisten = "127.0.0.1:${port}"\n`;
  assert.equal(changes(await reload(running, `${PLAIN}${rest}${admin}`))['added'], `listen "127.0.0.1:${port}"`);
  assert.match((await ask(port, '/metrics')).body, /^runnel_config_reloads_total\{result="ok"\} 1$/m);
  assert.equal(changes(await reload(running, `${PLAIN}${rest}`))['removed'], `listen "127.0.0.1:${port}"`);
  await assert.rejects(ask(port, '/metrics'), /ECONNREFUSED/);
  assert.equal(await running.stop(), 0);
});

test('a polled route that changes is asked as it is now', async (t) => {
  const config = (word: string) =>
    `${PLAIN}[cgi."/c"]\ncommand = ["./c.sh", "${word}"]\n[stream."/s"]\npoll = "/c"\ninterval = "100ms"\n`;
  const files = { 'c.sh': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n$1"\n' };
  const running = await startGateway(t, { config: config('old'), files });
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/s`);
  assert.deepEqual(await socket.first(1), ['old']);
  assert.deepEqual(changes(await reload(running, config('new'))), { changed: 'cgi."/c"', kept: 2 });
  assert.deepEqual(await socket.first(2), ['old', 'new']);
  assert.equal(await running.stop(), 0);
});

test('without a file there is nothing to reload', async (t) => {
  const folder = folderWith(t, {});
  const running = await startRunnel(t, ['run', '-l', '127.0.0.1:0', '--', 'cat'], { folder });
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/`);
  running.process.kill('SIGHUP');
  socket.ws.send('x');
  assert.deepEqual(await socket.first(1), ['x']);
  assert.deepEqual(running.log.filter(isResult), []);
  assert.equal(await running.stop(), 0);
});

test('a listener that was never opened is in no metric', async (t) => {
  const taken = await take(t);
  const first = `${PLAIN}[static."/"]\nroot = "www"\n${ADMIN}`;
  const running = await startGateway(t, { config: first, files: FILES });
  const [, admin = 0] = running.ports;
  const line = await reload(running, `${first}[[listen]]\naddress = "127.0.0.1:${taken}"\n`);
  assert.ok(line.message.startsWith(KEPT));
  const { body } = await ask(admin, '/metrics');
  assert.match(body, /^runnel_connections\{listener="127\.0\.0\.1:0"\}/m);
  assert.doesNotMatch(body, new RegExp(`listener="127\\.0\\.0\\.1:${taken}"`));
  assert.equal(await running.stop(), 0);
});

test('a second TERM counts, though a reload is under way when it comes', async (t) => {
  const taken = await take(t);
  const config = `stop_timeout = "10m"\n[[listen]]\naddress = "127.0.0.1:0"\n[cgi."/holds"]\ncommand = ["sh", "-c", "printf '\\\\nsome'; exec sleep 1000"]\n`;
  const running = await startGateway(t, { config, files: FILES });
  const client = request(running.url('/holds'));
  client.on('error', () => undefined).end();
  const [response] = (await once(client, 'response')) as [IncomingMessage];
  response.on('error', () => undefined).resume();
  // It looks for a while whether the port becomes free.
  put(running, `${config}[[listen]]\naddress = "127.0.0.1:${taken}"\n`);
  running.process.kill('SIGHUP');
  running.process.kill('SIGTERM');
  await running.logged(({ message }) => message === 'SIGTERM: stopping');
  running.process.kill('SIGTERM');
  const [code] = await once(running.process, 'exit');
  assert.equal(code, 0);
});

test('many HUPs at once are few reloads', async (t) => {
  const running = await startGateway(t, { config: `${PLAIN}[static."/"]\nroot = "www"\n`, files: FILES });
  for (let count = 0; count < 50; count++) running.process.kill('SIGHUP');
  await running.logged(({ message }) => message === DONE);
  assert(running.log.filter(isResult).length < 50);
  // One that was asked for while the first was under way may still come, before or with this one.
  put(running, `${PLAIN}[static."/"]\nroot = "other"\n`);
  running.process.kill('SIGHUP');
  await running.logged((line) => isResult(line) && line['changed'] === 'static."/"');
  assert.equal((await ask(running.port, '/')).body, 'two');
  running.process.kill('SIGHUP');
  assert.equal(await running.stop(), 0, 'HUP and TERM together');
});

test('200 reloads: nothing is left of them', { timeout: 120_000 }, async (t) => {
  const config = (word: string) =>
    `${PLAIN}[static."/"]\nroot = "${word === 'even' ? 'www' : 'other'}"\n[cgi."/${word}"]\ncommand = ["true"]\n[stream."/kept"]\ncommand = ["./tells.sh"]\nshare = "all"\n[stream."/s"]\ncommand = ["./tells.sh", "${word}"]\nshare = "all"\ninterrupt_after = "0ms"\n`;
  const running = await startGateway(t, {
    env: { NODE_OPTIONS: '--max-semi-space-size=1 --max-old-space-size=40' },
    config: config('even'),
    files: FILES,
  });
  const kept = await TestSocket.open(`ws://127.0.0.1:${running.port}/kept`);
  await kept.first(1);
  const turn = async (from: number, to: number): Promise<{ memory: number; open: number }> => {
    for (let at = from; at <= to; at++) {
      // Every 20th with a viewer, so that programs come and go too.
      const socket = at % 20 === 0 ? await TestSocket.open(`ws://127.0.0.1:${running.port}/s`) : undefined;
      await socket?.first(1);
      assert.equal((await reload(running, config(at % 2 === 0 ? 'odd' : 'even'))).message, DONE);
      await socket?.closed;
    }
    await until('the end of the others', () => programsOf(running.pid).length <= 1);
    return { memory: memoryOf(running.pid, 'RssAnon'), open: descriptorsOf(running.pid).length };
  };
  const early = await turn(1, 100);
  const late = await turn(101, 200);
  t.diagnostic(
    `${early.memory} KiB and ${early.open} descriptors after 100, ${late.memory} KiB and ${late.open} after 200`,
  );
  assert(late.memory - early.memory < 9_000, `grew from ${early.memory} to ${late.memory} KiB`);
  await until('no descriptor more', () => descriptorsOf(running.pid).length <= early.open + 2);
  kept.ws.send('x');
  await until('the answer', () => kept.messages.includes('x'));
  assert.equal(await running.stop(), 0);
});
