/** `runnel run`: the real program, asked by curl, WebSockets and openssl. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { ask, refused, TestSocket } from '../../support/client.ts';
import { EventClient } from '../../support/event-stream.ts';
import { folderWith, type Running, runnel, startRunnel } from '../../support/gateway.ts';
import { processes, programsOf } from '../../support/processes.ts';

const PASSWORDS = `ann:${hashSync('secret', 4)}\n`;

async function start(t: TestContext, ...args: readonly string[]): Promise<Running> {
  return await startRunnel(t, ['run', '-l', '127.0.0.1:0', ...args], { folder: folderWith(t, {}) });
}

function ws({ port }: Running, path = '/'): string {
  return `ws://127.0.0.1:${port}${path}`;
}

/** Also where it has ended already. */
async function exitOf({ process }: Running): Promise<number | null> {
  if (process.exitCode === null && process.signalCode === null) await once(process, 'exit');
  return process.exitCode;
}

// ---- who shares what ----

test('each viewer has a process of its own, unless --share all', async (t) => {
  const own = await start(t, '--', 'sh', '-c', 'echo $$; cat');
  const [one, two] = await Promise.all([TestSocket.open(ws(own)), TestSocket.open(ws(own))]);
  assert.notDeepEqual(await one.first(1), await two.first(1));

  const shared = await start(t, '--share', 'all', '--history', '5', '--', 'sh', '-c', 'echo $$; cat');
  const first = await TestSocket.open(ws(shared));
  const [pid] = await first.first(1);
  const second = await TestSocket.open(ws(shared));
  assert.deepEqual(await second.first(1), [pid], 'who comes later gets the history');
  second.ws.send('from the second');
  assert.deepEqual(await first.first(2), [pid, 'from the second']);
});

const REPLAYS: readonly [args: readonly string[], lines: readonly string[]][] = [
  [
    ['--history', '2'],
    ['2', '3', 'new'],
  ],
  [
    ['--history', '2', '--replay', 'all'],
    ['2', '3', 'new'],
  ],
  [
    ['--history', '2', '--replay', 'last'],
    ['3', 'new'],
  ],
  [['--history', '2', '--replay', 'none'], ['new']],
  [
    ['--replay', 'all'],
    ['1', '2', '3', 'new'],
  ],
  [[], ['new']],
];

for (const [args, lines] of REPLAYS)
  test(`what a later viewer gets with ${args.join(' ') || 'no history'}`, async (t) => {
    const running = await start(t, '--share', 'all', ...args, '--', 'sh', '-c', 'echo 1; echo 2; echo 3; cat');
    const early = await TestSocket.open(ws(running));
    await early.first(3);
    const late = await TestSocket.open(ws(running));
    early.ws.send('new');
    assert.deepEqual(await late.first(lines.length), lines);
  });

test('--share query: one process for each query', async (t) => {
  const running = await start(t, '--share', 'query', '--', 'sh', '-c', 'echo "$QUERY_STRING $$"; cat');
  const [a, b, again] = await Promise.all(['/?a', '/?b', '/?a'].map((path) => TestSocket.open(ws(running, path))));
  assert.match((await a?.first(1))?.[0] ?? '', /^a \d+$/);
  assert.match((await b?.first(1))?.[0] ?? '', /^b \d+$/);
  assert.equal(again?.ws.readyState, 1);
  assert.equal(programsOf(running.pid).filter(({ command }) => command.includes('QUERY_STRING')).length, 2);
});

// ---- who may what ----

test('--read-only: a message closes with 1008, a POST gets 405, the program goes on', async (t) => {
  const running = await start(t, '--read-only', '--share', 'all', '--history', '9', '--', 'sh', '-c', 'echo up; cat');
  const typing = await TestSocket.open(ws(running));
  const watching = await TestSocket.open(ws(running));
  await Promise.all([typing.first(1), watching.first(1)]);
  typing.ws.send('rm -rf /');
  assert.deepEqual(await typing.closed, { code: 1008, reason: 'this stream is read-only' });
  const posted = await ask(running.port, '/', { method: 'POST' });
  assert.deepEqual([posted.status, posted.headers['allow']], [405, 'GET, HEAD, OPTIONS']);
  assert.deepEqual([watching.ws.readyState, watching.messages], [1, ['up']], 'the others see nothing of it');
});

test('--max-clients: the next one gets 503, and the place of one that left', async (t) => {
  const running = await start(t, '--max-clients', '2', '--share', 'all', '--', 'sh', '-c', 'echo up; cat');
  const one = await TestSocket.open(ws(running));
  const events = await EventClient.open(running.port, '/');
  assert.equal((await refused(ws(running))).status, 503);
  await running.logged((line) => JSON.stringify(line).includes('has 2 clients already (max_clients)'));
  assert.equal((await ask(running.port, '/')).status, 200, 'the page itself is no viewer');
  one.ws.close();
  await one.closed;
  let next: TestSocket | undefined;
  while (next === undefined) next = await TestSocket.open(ws(running)).catch(() => undefined);
  assert.equal((await refused(ws(running))).status, 503);
  events.close();
});

test('--password-file: nobody without, one with; a file that others can read is warned of', async (t) => {
  const folder = folderWith(t, { users: PASSWORDS });
  chmodSync(join(folder, 'users'), 0o644);
  const args = ['run', '-l', '0', '--password-file', 'users', '--', 'echo', 'hello'];
  const running = await startRunnel(t, args, { folder });
  assert.equal((await ask(running.port, '/')).status, 401);
  assert.equal((await refused(ws(running))).status, 401);
  const socket = await TestSocket.open(ws(running), {
    headers: { authorization: `Basic ${btoa('ann:secret')}` },
  });
  assert.deepEqual(await socket.first(1), ['hello']);
  await running.logged(
    ({ level, message }) => level === 'warn' && /every user of this machine can read users/.test(message),
  );

  chmodSync(join(folder, 'users'), 0o600);
  const quiet = await startRunnel(t, args, { folder });
  await quiet.stop();
  assert.deepEqual(
    quiet.log.filter(({ level }) => level === 'warn'),
    [],
  );
});

test('--token-file: in the field, and in the address for the page and its WebSocket', async (t) => {
  const folder = folderWith(t, {});
  const made = await runnel(['token', 'ann'], folder);
  const line = /^ann:[0-9a-f]{64}$/m.exec(made.stdout)?.[0] ?? '';
  const token = /: (\S+)$/m.exec(made.stderr)?.[1] ?? '';
  const files = folderWith(t, { tokens: `${line}\n` });
  const running = await startRunnel(t, ['run', '-l', '0', '--token-file', 'tokens', '--', 'echo', 'hello'], {
    folder: files,
  });
  assert.equal((await refused(ws(running))).status, 401);
  const socket = await TestSocket.open(ws(running), { headers: { authorization: `Bearer ${token}` } });
  assert.deepEqual(await socket.first(1), ['hello']);
  assert.equal((await ask(running.port, `/?access_token=${token}`)).status, 200);
  const paged = await TestSocket.open(ws(running, `/?access_token=${token}`));
  assert.deepEqual(await paged.first(1), ['hello']);
});

// ---- once ----

const ENDS: readonly [script: string, code: number, closed: { code: number; reason: string }][] = [
  ['seq 1 20000', 0, { code: 1000, reason: 'exit 0' }],
  ['seq 1 20000; exit 7', 7, { code: 1011, reason: 'exit 7' }],
  ['seq 1 20000; kill -TERM $$', 143, { code: 1011, reason: 'signal SIGTERM' }],
];

for (const share of ['client', 'all'])
  for (const [script, code, closed] of ENDS)
    test(`--once --share ${share}: ${script}: viewers get everything, and the status is ${code}`, async (t) => {
      const running = await start(t, '--once', '--share', share, '--', 'sh', '-c', script);
      const socket = await TestSocket.open(ws(running));
      assert.deepEqual(await socket.closed, closed);
      assert.equal(socket.messages.length, 20_000);
      assert.equal(socket.messages.at(-1), '20000');
      assert.equal(await exitOf(running), code);
    });

test('--once: a second viewer is refused while the first has its process, and the end of the viewer is the end', async (t) => {
  const running = await start(t, '--once', '--', 'cat');
  const socket = await TestSocket.open(ws(running));
  assert.equal((await refused(ws(running))).status, 503);
  socket.ws.close();
  assert.equal(await exitOf(running), 0, 'cat ends with its input');
});

test('--once: curl gets everything', {
  skip: existsSync('/usr/bin/curl') ? false : 'curl is not installed',
}, async (t) => {
  const running = await start(t, '--once', '--', 'sh', '-c', 'seq 1 50000; exit 3');
  const got = spawnSync('curl', ['-sS', '-H', 'Accept: text/plain', running.url('/')], { maxBuffer: 1 << 24 });
  assert.equal(got.stdout.toString().trimEnd().split('\n').length, 50_000, got.stderr.toString());
  assert.equal(await exitOf(running), 3);
});

// ---- the end ----

test('Ctrl-C ends the program too, also one that ignores every signal that can be ignored', async (t) => {
  const running = await start(t, '--', 'bash', '-c', 'trap "" INT TERM HUP; echo up; while :; do sleep 1; done');
  const socket = await TestSocket.open(ws(running));
  await socket.first(1);
  const [program] = programsOf(running.pid).filter(({ command }) => command.includes('trap'));
  assert.ok(program !== undefined);
  assert.equal(await running.stop('SIGINT'), 0);
  assert.equal((await socket.closed).code, 1001);
  assert.equal(
    processes().some(({ session, state }) => session === program.session && state !== 'Z'),
    false,
  );
});

test('TERM by a terminal that nobody reads: the QR code and the log hold nothing up', async (t) => {
  const running = await start(t, '--qr', '--', 'cat');
  running.process.stdout?.pause();
  running.process.stderr?.pause();
  assert.equal(await running.stop('SIGTERM'), 0);
});
