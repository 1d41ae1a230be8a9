/** Files of the log: requests apart, opened again and truncated under it, on a disk that is full, and as other programs read them. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { LineOutput } from '../../../src/ops/logging/line-output.ts';
import { folderWith, startGateway } from '../../support/gateway.ts';
import { until } from '../../support/until.ts';

const STATIC = '[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "www"\n';
const FILES = { 'www/page.txt': 'hello' };
const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url));
const LINE = /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/page\.txt HTTP\/1\.1" 200 5 "-" "[^"]*"$/;

const lines = (path: string): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);

test('requests in a file of their own: renamed and USR1, then copied and truncated', async (t) => {
  const gateway = await startGateway(t, {
    config: `${STATIC}[log]\nrequests = { file = "access.log" }\n`,
    files: FILES,
  });
  const path = join(gateway.folder, 'access.log');
  const ask = async () => assert.equal(await (await fetch(gateway.url('/page.txt'))).text(), 'hello');
  assert.equal(statSync(path).mode & 0o137, 0, 'for its owner, and for its group to read');
  await ask();
  await until(() => lines(path).length === 1, 'a line');
  assert.match(lines(path)[0] ?? '', LINE);
  // As logrotate does it with "create".
  renameSync(path, `${path}.1`);
  await ask();
  await until(() => lines(`${path}.1`).length === 2, 'a line in the old file');
  gateway.process.kill('SIGUSR1');
  await until(() => statSync(path, { throwIfNoEntry: false }) !== undefined, 'a new file');
  await ask();
  await until(() => lines(path).length === 1, 'a line in the new file');
  // And with "copytruncate".
  writeFileSync(`${path}.2`, readFileSync(path));
  truncateSync(path);
  await ask();
  await until(() => lines(path).length === 1, 'a line at the beginning');
  assert.match(lines(path)[0] ?? '', LINE);
  assert.equal(lines(`${path}.1`).length, 2);
  assert.ok(!gateway.log.some(({ message }) => message.startsWith('GET ')), 'they are nowhere else');
});

test('two gateways that write to one file tear no line of one another, and lose none', async (t) => {
  const folder = folderWith(t, {});
  const path = join(folder, 'access.log');
  const config = `${STATIC}[log]\nrequests = { file = "${path}" }\n`;
  const [one, other] = [
    await startGateway(t, { config, files: FILES }),
    await startGateway(t, { config, files: FILES }),
  ];
  const asks = Array.from({ length: 200 }, (_, number) =>
    fetch((number % 2 === 0 ? one : other).url('/page.txt'), {
      headers: { 'user-agent': `${number} ${'x'.repeat(900)}` },
    }),
  );
  for (const answer of await Promise.all(asks)) assert.equal(await answer.text(), 'hello');
  await until(() => lines(path).length === 200, 'each line');
  assert.ok(lines(path).every((line) => LINE.test(line)));
  const numbers = new Set(lines(path).map((line) => /"(\d+) x+"$/.exec(line)?.[1]));
  assert.equal(numbers.size, 200);
});

test('a folder that has gone at USR1: the old file is written to, and the log says so', async (t) => {
  const gateway = await startGateway(t, {
    config: `${STATIC}[log]\nrequests = { file = "logs/access.log", format = "json" }\n`,
    files: { ...FILES, 'logs/README': '' },
  });
  renameSync(join(gateway.folder, 'logs'), join(gateway.folder, 'old'));
  gateway.process.kill('SIGUSR1');
  await gateway.logged(({ message }) => message.startsWith('a file of the log cannot be opened again'));
  await fetch(gateway.url('/page.txt'));
  const path = join(gateway.folder, 'old/access.log');
  await until(() => lines(path).length === 1, 'a line');
  const { status, target, level } = JSON.parse(lines(path)[0] ?? '');
  assert.deepEqual([status, target, level], [200, '/page.txt', undefined]);
});

test('a disk that is full: the gateway serves on, and says once that it cannot write', async (t) => {
  const gateway = await startGateway(t, {
    config: `${STATIC}[log]\nrequests = { file = "/dev/full" }\n`,
    files: FILES,
  });
  for (let count = 0; count < 5; count++) assert.equal(await (await fetch(gateway.url('/page.txt'))).text(), 'hello');
  const told = await gateway.logged(({ message }) => message === 'the log of requests cannot be written: ENOSPC');
  assert.equal(told.level, 'error');
  assert.equal(gateway.log.filter(({ message }) => message.includes('ENOSPC')).length, 1);
});

test('a file that may not grow, then may: how many lines were dropped is told, and no line is torn', async (t) => {
  const gateway = await startGateway(t, {
    config: `${STATIC}[log]\nrequests = { file = "access.log", format = "json" }\n`,
    files: FILES,
    launcher: ['prlimit', '--fsize=2000'],
  });
  const path = join(gateway.folder, 'access.log');
  const ask = async () => await (await fetch(gateway.url('/page.txt'))).text();
  for (let count = 0; count < 20; count++) assert.equal(await ask(), 'hello');
  await gateway.logged(({ message }) => message === 'the log of requests cannot be written: EFBIG');
  truncateSync(path);
  await ask();
  const told = await gateway.logged(({ message }) => message.startsWith('log lines were dropped'));
  assert.ok(Number(told['dropped']) > 0);
  await until(() => lines(path).length > 0, 'whole lines');
  for (const line of lines(path).filter((each) => each !== '')) JSON.parse(line);
});

test('a sample of healthy requests, all that are none, and the lines say so', async (t) => {
  const gateway = await startGateway(t, {
    config: `${STATIC}[log]\nrequests = { sample = 10, slow = "1h" }\n`,
    files: FILES,
  });
  for (let count = 0; count < 20; count++) await (await fetch(gateway.url('/page.txt'))).text();
  for (let count = 0; count < 3; count++) await (await fetch(gateway.url('/none'))).text();
  const of = (message: string) => gateway.log.filter((line) => line.message === message);
  await until(() => of('GET /none').length === 3 && of('GET /page.txt').length === 2, 'their lines');
  assert.deepEqual(
    [...of('GET /page.txt'), ...of('GET /none')].map((line) => line['sample']),
    [10, 10, ...Array(3)],
  );
});

test('a WebSocket is one line, when it is over: both ways, its time, its code', async (t) => {
  const gateway = await startGateway(t, {
    config: `[[listen]]\naddress = "127.0.0.1:0"\n[stream."/live"]\ncommand = ["cat"]\n`,
  });
  const socket = new WebSocket(gateway.url('/live?x=1').replace('http', 'ws'));
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  socket.send('hello');
  await new Promise((resolve) => socket.addEventListener('message', resolve));
  const opened = await gateway.logged(({ message }) => message === '/live?x=1 opened');
  assert.ok(!gateway.log.some(({ message }) => message === 'GET /live?x=1'));
  socket.close(1000, 'done');
  const line = await gateway.logged(({ message }) => message === 'GET /live?x=1');
  const { status, bytes, received, code, reason, id } = line;
  assert.deepEqual(
    { status, bytes, received, code, reason },
    { status: 101, bytes: 5, received: 5, code: 1000, reason: 'done' },
  );
  assert.equal(id, opened['id']);
});

test('an id of a trusted proxy is the id: in the log, for programs and in errors; a stranger has none to give', async (t) => {
  const gateway = await startGateway(t, {
    config: `[[listen]]\naddress = "127.0.0.1:0"\n[connections]\ntrusted_proxies = ["127.0.0.1"]\n[cgi."/x"]\ncommand = ["./x"]\n`,
    files: { x: '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n$HTTP_X_REQUEST_ID $UNIQUE_ID $HTTP_TRACEPARENT"\n' },
  });
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const ask = async (path: string, id: string) =>
    await fetch(gateway.url(path), { headers: { 'x-request-id': id, traceparent, 'x-forwarded-for': '192.0.2.1' } });
  assert.equal(await (await ask('/x', 'of-the-proxy')).text(), `of-the-proxy of-the-proxy ${traceparent}`);
  const line = await gateway.logged((each) => each['id'] === 'of-the-proxy');
  assert.equal(line['trace_id'], '4bf92f3577b34da6a3ce929d0e0e4736');
  const missing = await ask('/none', 'of-the-proxy-2');
  assert.equal(missing.headers.get('x-request-id'), 'of-the-proxy-2');
  assert.match(await missing.text(), /of-the-proxy-2/);
  const made = (await ask('/none', 'x'.repeat(200))).headers.get('x-request-id') ?? '';
  assert.match(made, /^[0-9a-f]{6}-[0-9a-z]+$/);
});

test('a program that fails in a loop is a warning with its last words, again and again less often', async (t) => {
  const gateway = await startGateway(t, {
    config: `[[listen]]\naddress = "127.0.0.1:0"\n[stream."/live"]\ncommand = ["./fails"]\nshare = "all"\nstart = "boot"\nrestart = "always"\nrestart_delay = "10ms"\nrestart_delay_max = "20ms"\nstderr_level = "debug"\n`,
    files: { fails: '#!/bin/sh\necho it is broken >&2\nexit 3\n' },
  });
  const failed = () => gateway.log.filter(({ message }) => message === 'the program has failed');
  await until(() => failed().length >= 5, 'five failures');
  assert.deepEqual([failed()[0]?.['exit'], failed()[0]?.['last']], [3, 'it is broken']);
  assert.deepEqual(
    failed()
      .slice(0, 5)
      .map(({ level }) => level),
    ['warn', 'warn', 'info', 'warn', 'info'],
  );
  assert.ok(!gateway.log.some(({ message }) => message === 'it is broken'));
});

// ---- what reads them ----

const has = (program: string): string | false => {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return false;
  } catch {
    return `${program} is not installed`;
  }
};

/** A log of ordinary requests, failed logins, bots and what means harm. */
async function someLog(t: Parameters<typeof startGateway>[0], format: string): Promise<string> {
  const gateway = await startGateway(t, {
    config: `${STATIC}[static."/private/"]\nroot = "www"\nauth = { basic = "users" }\n[log]\nrequests = { file = "access.log", format = "${format}" }\n`,
    // The password is "secret".
    files: { ...FILES, users: 'ann:$2b$04$CwTycUXWue0Thq9StjUM0uJ8.KRwGhG8SGbd0Xa9nMNQ1Hvt4fv5G\n' },
  });
  const ask = async (path: string, headers: { readonly [name: string]: string } = {}) =>
    await (await fetch(gateway.url(path), { headers })).arrayBuffer();
  const wrong = `Basic ${Buffer.from('root:guess').toString('base64')}`;
  for (let count = 0; count < 3; count++) await ask('/page.txt', { 'user-agent': 'Mozilla/5.0 (X11; Linux)' });
  await ask('/private/page.txt');
  for (let count = 0; count < 2; count++) await ask('/private/page.txt', { authorization: wrong });
  await ask('/page.txt', { 'user-agent': 'EmailSiphon' });
  await ask('/a%zz');
  await ask('/phpmyadmin/');
  await ask('/%22%0a%1b[31m"', { referer: 'http://x/"\\', 'user-agent': 'a "quoted" \\ agent' });
  const path = join(gateway.folder, 'access.log');
  await until(() => lines(path).length === 10, 'all lines');
  await gateway.stop();
  return path;
}

test('goaccess reads all of it', { skip: has('goaccess') }, async (t) => {
  for (const [format, options] of [
    ['combined', ['--log-format=COMBINED']],
    [
      'combined+time',
      ['--date-format=%d/%b/%Y', '--time-format=%T', '--log-format=%h %^ %e [%d:%t %^] "%r" %s %b "%R" "%u" %D'],
    ],
  ] as const) {
    const path = await someLog(t, format);
    const report = `${path}.json`;
    execFileSync('goaccess', [path, '--no-global-config', ...options, '-o', report], { stdio: 'ignore', input: '' });
    const { general } = JSON.parse(readFileSync(report, 'utf8'));
    assert.deepEqual([general.total_requests, general.failed_requests], [10, 0], format);
  }
});

test('fail2ban finds failed logins, bad bots and bad requests by its own filters', {
  skip: has('fail2ban-regex'),
}, async (t) => {
  const path = await someLog(t, 'combined');
  for (const [filter, matches] of [
    ['traefik-auth', 2],
    ['apache-badbots', 1],
    ['nginx-bad-request', 2],
    ['nginx-botsearch', 1],
  ] as const) {
    const said = execFileSync('fail2ban-regex', [path, `/etc/fail2ban/filter.d/${filter}.conf`], { encoding: 'utf8' });
    assert.match(said, new RegExp(`Lines: 10 lines, \\d+ ignored, ${matches} matched`), `${filter}: ${said}`);
  }
});

const AWSTATS = '/usr/lib/cgi-bin/awstats.pl';
test('awstats reads it without options', {
  skip: statSync(AWSTATS, { throwIfNoEntry: false }) ? false : 'no awstats',
}, async (t) => {
  const path = await someLog(t, 'combined');
  const folder = join(path, '..');
  writeFileSync(
    join(folder, 'awstats.board.conf'),
    `LogFile="${path}"\nLogFormat=1\nLogType=W\nSiteDomain="board"\nHostAliases="localhost"\nDNSLookup=0\nDirData="${folder}"\n`,
  );
  const said = execFileSync('perl', [AWSTATS, '-config=board', `-configdir=${folder}`, '-update'], {
    encoding: 'utf8',
  });
  assert.match(said, /Found 0 corrupted records/, said);
});

test('logrotate, as the page has it', { skip: has('logrotate') }, async (t) => {
  const gateway = await startGateway(t, {
    config: `${STATIC}[log]\nrequests = { file = "access.log" }\n`,
    files: FILES,
  });
  const path = join(gateway.folder, 'access.log');
  const ask = async () => await (await fetch(gateway.url('/page.txt'))).text();
  const rotate = (how: string): void => {
    const config = join(gateway.folder, 'rotate.conf');
    writeFileSync(config, `${path} {\n  rotate 3\n  missingok\n${how}}\n`, { mode: 0o644 });
    execFileSync('logrotate', ['--force', '--state', join(gateway.folder, 'state'), config]);
  };
  await ask();
  await until(() => lines(path).length === 1, 'a line');
  rotate(`  create 0640\n  postrotate\n    kill -USR1 ${gateway.pid}\n  endscript\n`);
  await ask();
  await until(() => lines(path).length + lines(`${path}.1`).length === 2, 'lines on both sides');
  rotate('  copytruncate\n');
  await ask();
  await until(() => lines(path).some((line) => LINE.test(line)), 'a line behind it');
  assert.ok(!readFileSync(path).includes(0));
});

test('a FIFO that nobody reads yet: the gateway starts, and lines wait for the reader', async (t) => {
  const path = join(folderWith(t, {}), 'log.fifo');
  execFileSync('mkfifo', [path]);
  const lost: string[] = [];
  const output = LineOutput.ofFile(path, { told: () => undefined, failing: (code) => lost.push(code) });
  output.write('first\n');
  await output.flush();
  assert.equal(execFileSync('head', ['-n1', path], { encoding: 'utf8' }), 'first\n');
  assert.deepEqual([lost, output.dropped], [[], 0]);
});

test('a log of everything that cannot be written: said on standard error, once', async (t) => {
  const folder = folderWith(t, { ...FILES, 'runnel.toml': `${STATIC}[log]\nfile = "/dev/full"\n` });
  const child = spawn(process.execPath, [MAIN, 'serve', '-c', join(folder, 'runnel.toml')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  await until(() => said.includes('\n'), 'a line');
  child.kill('SIGTERM');
  await once(child, 'close');
  assert.equal(said, 'the log cannot be written to /dev/full: ENOSPC\n');
});
