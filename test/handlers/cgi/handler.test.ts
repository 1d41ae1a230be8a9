/** The CGI handler with real programs: what the client gets, what the log gets, what is left. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type BodySource, headerValue, type Reply } from '../../../src/engine/engine.ts';
import { cgiHandler } from '../../../src/handlers/cgi/handler.ts';
import type { CgiConfig } from '../../../src/handlers/cgi/keys.ts';
import { HttpError } from '../../../src/http/errors.ts';
import type { Handler } from '../../../src/http/handler.ts';
import { openAssets } from '../../../src/ops/assets.ts';
import { Log } from '../../../src/ops/log.ts';
import { Tallies } from '../../../src/ops/tallies.ts';
import { readSystem } from '../../../src/process/confinement/confine.ts';
import { Programs } from '../../../src/process/programs.ts';
import { chooseSpawner } from '../../../src/process/spawner.ts';
import { planLaunch } from '../../../src/programs/launch.ts';
import { type CallOptions, type FakeCall, fakeCall } from '../../support/call.ts';
import { bodyOf, collect } from '../../support/collect.ts';
import { configOf } from '../../support/config.ts';
import { until } from '../../support/processes.ts';

const base = mkdtempSync(join(tmpdir(), 'runnel-cgi-'));
const root = join(base, 'cgi-bin');
mkdirSync(join(root, 'sub'), { recursive: true });
after(() => rmSync(base, { recursive: true, force: true }));

const log = new Log({ format: 'json', level: 'error', colour: false, descriptor: 2 });
const programs = new Programs(chooseSpawner(openAssets(), 'auto', () => undefined).spawner, 1000, {
  started: () => undefined,
  ended: () => undefined,
  refused: () => undefined,
  watchdogLost: () => undefined,
});
after(() => programs.closeAll(5000));

function script(name: string, text: string): void {
  writeFileSync(join(root, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

const DEFAULTS = configOf({
  cgi: { '/cgi-bin/': { root, interrupt_after: '0ms', terminate_after: '200ms', kill_after: '200ms' } },
}).cgi.get('/cgi-bin/');

function handlerFor(changes: Partial<CgiConfig> = {}, route = '/cgi-bin/'): Handler {
  assert(DEFAULTS !== undefined);
  const config: CgiConfig = { ...DEFAULTS, ...changes };
  const launch = planLaunch(config, { system: readSystem(), terminals: () => programs.terminals });
  return cgiHandler(config, {
    route,
    version: '0',
    programs,
    launch,
    log,
    tallies: new Tallies(),
    inherited: process.env,
    documentRoot: undefined,
  });
}

const handler = handlerFor();

function callFor(path: string, options: CallOptions = {}): FakeCall {
  return fakeCall({ path: `/cgi-bin/${path}`, route: '/cgi-bin/', ...options });
}

async function ask(call: FakeCall, by: Handler = handler): Promise<Reply> {
  const answer = await by.handle(call);
  assert.ok('status' in answer);
  return answer;
}

async function textOf(path: string, options?: CallOptions, by?: Handler): Promise<string> {
  return (await bodyOf(await ask(callFor(path, options), by))).toString();
}

async function refusal(call: FakeCall, by: Handler = handler): Promise<HttpError> {
  try {
    const answer = await by.handle(call);
    return assert.fail(`answered: ${JSON.stringify(answer)}`);
  } catch (error) {
    assert.ok(error instanceof HttpError, String(error));
    return error;
  }
}

function sourceOf(reply: Reply): BodySource {
  assert.ok(typeof reply.body === 'object' && 'start' in reply.body);
  return reply.body;
}

const nothingRuns = (): Promise<void> => until('no program is left', () => programs.size === 0);

test('a program: status, fields, document, environment', async () => {
  script('env', 'printf "Status: 201 Made\\nX-A: b\\nContent-Type: text/plain\\n\\n"; env | sort; pwd');
  const call = callFor('env/more/%C3%BC', {
    query: 'a=%20b&c',
    headers: [
      ['host', 'board.test:8080'],
      ['x-custom', 'yes'],
      ['proxy', 'http://evil'],
      ['authorization', 'Basic x'],
    ],
  });
  const reply = await ask(call);
  assert.deepEqual([reply.status, reply.reason], [201, 'Made']);
  assert.equal(headerValue(reply.headers, 'content-type'), 'text/plain');
  assert.equal(headerValue(reply.headers, 'x-a'), 'b');
  const lines = (await bodyOf(reply)).toString().split('\n');
  for (const line of [
    'SCRIPT_NAME=/cgi-bin/env',
    'PATH_INFO=/more/ü',
    'QUERY_STRING=a=%20b&c',
    'REQUEST_METHOD=GET',
    'HTTP_X_CUSTOM=yes',
    `SCRIPT_FILENAME=${join(root, 'env')}`,
    `PATH_TRANSLATED=${root}/more/ü`,
    'SERVER_NAME=board.test',
    root,
  ]) {
    assert.ok(lines.includes(line), `${line} in ${lines.join('\n')}`);
  }
  assert.ok(!lines.some((line) => /^HTTP_(PROXY|AUTHORIZATION)=/.test(line)));
  await nothingRuns();
  assert.equal(call.notes.get('exit'), 0);
});

test('one command for everything below the path', async () => {
  const command = ['sh', '-c', 'printf "\\n$SCRIPT_NAME|$PATH_INFO|$1"', 'x', 'argument'] as const;
  const changes = { root: undefined, command: [...command] as [string, ...string[]] };
  assert.equal(await textOf('a/b%20c', {}, handlerFor(changes)), '/cgi-bin|/a/b c|argument');
  assert.equal(await textOf('', {}, handlerFor(changes)), '/cgi-bin|/|argument');
  const exact = fakeCall({ path: '/status', route: '/status' });
  assert.equal((await bodyOf(await ask(exact, handlerFor(changes, '/status')))).toString(), '/status||argument');
  const root404 = fakeCall({ path: '/x', route: '/' });
  assert.equal((await bodyOf(await ask(root404, handlerFor(changes, 'host.test/')))).toString(), '|/x|argument');
});

test('bodies: in memory, in a file, none, ignored', async () => {
  script('cat', 'printf "Content-Type: text/plain\\n\\n$CONTENT_LENGTH|"; cat');
  const bytes = Buffer.alloc(300_000, 'body ');
  const inMemory = { method: 'POST', body: { length: bytes.length, bytes, descriptor: undefined } };
  assert.equal(await textOf('cat', inMemory), `300000|${bytes}`);
  const file = join(base, 'spooled');
  writeFileSync(file, bytes);
  const descriptor = openSync(file, 'r');
  const inFile = { method: 'POST', body: { length: bytes.length, bytes: undefined, descriptor } };
  assert.equal(await textOf('cat', inFile), `300000|${bytes}`);
  closeSync(descriptor);
  assert.equal(await textOf('cat'), '|');
  script('ignore', 'printf "\\nignored"');
  assert.equal(await textOf('ignore', inMemory), 'ignored');
  await nothingRuns();
});

test('output comes as it is written', async () => {
  // The second half is written only when the first has been received.
  const flag = join(base, 'flag');
  script('stream', `printf "\\nfirst"; while [ ! -e ${flag} ]; do sleep 0.01; done; printf second`);
  const reply = await ask(callFor('stream'));
  const chunks: string[] = [];
  await new Promise<void>((resolve, reject) => {
    sourceOf(reply).start({
      write(chunk) {
        chunks.push(Buffer.from(chunk).toString());
        if (chunks.join('') === 'first') writeFileSync(flag, '');
        return true;
      },
      lend: () => assert.fail(),
      end: resolve,
      fail: reject,
    });
  });
  assert.equal(chunks.join(''), 'firstsecond');
  await nothingRuns();
});

for (const pace of ['fast', 'slow', 'resumes at once'] as const) {
  test(`every byte arrives, at every pace: ${pace}`, async () => {
    script('much', 'printf "Content-Type: text/plain\\n\\n"; head -c 2000000 /dev/zero');
    const body = await collect(sourceOf(await ask(callFor('much'))), pace);
    assert.equal(body.length, 2_000_000);
    await nothingRuns();
  });
}

test('a client that does not read stops the program, not our memory', async () => {
  script('endless', 'printf "\\n"; exec cat /dev/zero');
  const reply = await ask(callFor('endless'));
  let taken = 0;
  const source = sourceOf(reply);
  const first = new Promise<void>((resolve) => {
    source.start({
      write(chunk) {
        taken += chunk.length;
        resolve();
        return false;
      },
      lend: () => assert.fail(),
      end: assert.fail,
      fail: assert.fail,
    });
  });
  await first;
  // Many turns of the loop: what the program could write in them is a thousand times what is taken.
  for (let turn = 0; turn < 1000; turn++) await new Promise(setImmediate);
  assert.ok(taken <= 1 << 20, String(taken));
  source.cancel();
  await nothingRuns();
});

test('redirects', async () => {
  script('local', 'printf "Location: /a?b\\n\\n"');
  assert.deepEqual(await handler.handle(callFor('local')), { localRedirect: '/a?b' });
  script('away', 'printf "Location: http://other/\\n\\n"');
  const reply = await ask(callFor('away'));
  assert.deepEqual([reply.status, reply.headers], [302, [['location', 'http://other/']]]);
  await bodyOf(reply);
  await nothingRuns();
});

test('of a program that is over nothing listens for the client to leave: a local redirect starts another for the same call', async () => {
  script('local', 'printf "Location: /a?b\\n\\n"');
  const call = callFor('local');
  for (let redirects = 0; redirects < 3; redirects++) await handler.handle(call);
  await until('nothing listens', () => getEventListeners(call.signal, 'abort').length === 0, 10_000);
});

test('HEAD, 204 and 304: the program runs to its end, nobody gets its document', async () => {
  const done = join(base, 'done');
  const writes = (status: string): string =>
    `printf "Status: ${status}\\nContent-Length: 400000\\n\\n"; head -c 400000 /dev/zero; echo $REQUEST_METHOD >> ${done}`;
  script('head', writes('200'));
  const head = await ask(callFor('head', { method: 'HEAD' }));
  assert.equal(sourceOf(head).length, 400_000);
  await nothingRuns();
  for (const status of ['204', '304']) {
    script('nothing', writes(status));
    assert.equal((await ask(callFor('nothing'))).body, undefined);
    await nothingRuns();
  }
  assert.equal(readFileSync(done, 'utf8'), 'HEAD\nGET\nGET\n');
});

test('lengths: the announced one is kept; too little is a cut, too much is left out', async () => {
  script('right', 'printf "Content-Length: 5\\n\\nhello"; exit 3');
  assert.equal(await textOf('right'), 'hello');
  script('slowly', 'printf "Content-Length: 5\\n\\nhe"; sleep 0.1; printf llo');
  const slowly = await ask(callFor('slowly'));
  assert.equal(sourceOf(slowly).length, 5);
  assert.equal((await bodyOf(slowly)).toString(), 'hello');
  script('more', 'printf "Content-Length: 2\\n\\nhello"');
  assert.equal(await textOf('more'), 'he');
  script('zero', 'printf "Content-Length: 0\\n\\nhello"');
  assert.equal(await textOf('zero'), '');
  script('less', 'printf "Content-Length: 9\\n\\nhello"');
  await assert.rejects(textOf('less'), /announced 9 bytes and wrote 5/);
  await nothingRuns();
});

test('a program that dies after half of its document: the client can tell', async () => {
  // Old scripts end with `[ … ] && …`: a status other than 0 says nothing about the document.
  script('exit', 'printf "\\nwhole"; exit 3');
  assert.equal(await textOf('exit'), 'whole');
  script('signal', 'printf "\\nhalf"; kill -SEGV $$');
  await assert.rejects(textOf('signal'), /died: signal SIGSEGV/);
  const call = callFor('exit');
  await bodyOf(await ask(call));
  assert.equal(call.notes.get('exit'), 3);
  await nothingRuns();
});

test('a program without an answer is 502, and the log gets why', async (t) => {
  const cases: readonly (readonly [name: string, text: string, because: RegExp])[] = [
    ['silent', 'exit 0', /wrote nothing; exit 0/],
    [
      'dead',
      'echo went wrong >&2; echo twice >&2; exit 7',
      /wrote nothing; exit 7; last lines of stderr: went wrong \| twice/,
    ],
    ['nonsense', 'echo hello world', /no colon: "hello world"/],
    ['half', 'printf "Content-Type: text/html\\n"; kill -KILL $$', /ended before .*; signal SIGKILL/],
    ['huge', 'printf "X: "; head -c 1000000 /dev/zero | tr "\\0" a; printf "\\n\\n"', /longer than/],
    ['closer', 'exec >&-; sleep 1000', /wrote nothing$/],
  ];
  for (const [name, text, because] of cases) {
    await t.test(name, async () => {
      script(name, text);
      const error = await refusal(callFor(name), handler);
      assert.equal(error.status, 502);
      assert.match(error.message, because);
    });
  }
  await nothingRuns();
});

test('what cannot be started', async (t) => {
  writeFileSync(join(root, 'plain.txt'), 'secret source', { mode: 0o644 });
  writeFileSync(join(root, 'no-interpreter'), '#!/nowhere/perl\n', { mode: 0o755 });
  writeFileSync(join(base, 'outside'), '#!/bin/sh\necho; echo outside\n', { mode: 0o755 });
  symlinkSync('../outside', join(root, 'link'));
  chmodSync(join(base, 'outside'), 0o755);
  const cases: readonly (readonly [string, number])[] = [
    ['plain.txt', 403],
    ['no-interpreter', 502],
    ['link', 404],
    ['missing', 404],
    ['', 403],
    ['sub', 403],
    ['sub/', 403],
    ['..%2foutside', 404],
    ['env/%ff', 400],
  ];
  for (const [path, status] of cases) {
    await t.test(path, async () => assert.equal((await refusal(callFor(path))).status, status));
  }
  assert.equal((await refusal(callFor('sub/'))).told, 'This folder has no page of its own.');
  const gone = handlerFor({ root: undefined, command: ['/nowhere/program'] });
  const error = await refusal(callFor('x'), gone);
  assert.equal(error.status, 502);
  assert.match(error.message, /the file does not exist/);
  assert.equal(programs.size, 0);
});

test('times: 504 for the header, a cut for the whole', async () => {
  script('slow', 'sleep 1000');
  const late = await refusal(callFor('slow'), handlerFor({ timeout: 100 }));
  assert.deepEqual([late.status, late.message], [504, 'a CGI program failed: no header within 100 ms']);
  script('never', 'printf "\\nsome"; sleep 1000');
  await assert.rejects(textOf('never', {}, handlerFor({ total_timeout: 300 })), /not finished after 300 ms/);
  script('trap', 'trap "" INT TERM; printf "\\nsome"; while :; do sleep 0.05; done');
  await assert.rejects(textOf('trap', {}, handlerFor({ total_timeout: 300 })), /not finished/);
  await nothingRuns();
});

test('a program that closes its output and lives: the document ends there, the program in time', async () => {
  script('lives', 'printf "\\nall"; exec >&- 2>&-; sleep 1000');
  assert.equal(await textOf('lives', {}, handlerFor({ total_timeout: 1000 })), 'all');
  await nothingRuns();
});

test('a client that leaves ends the whole group, at every moment', async () => {
  script('family', 'sleep 1000 & printf "\\nsome"; sleep 1000');
  const during = callFor('family');
  const reply = await ask(during);
  sourceOf(reply).start({ write: () => true, lend: () => assert.fail(), end: assert.fail, fail: assert.fail });
  during.abort();
  await nothingRuns();
  const cancelled = await ask(callFor('family'));
  sourceOf(cancelled).cancel();
  await nothingRuns();
  script('mute', 'sleep 1000');
  const before = callFor('mute');
  const refused = refusal(before);
  await until('it runs', () => programs.size === 1);
  before.abort();
  assert.equal((await refused).status, 499);
  const gone = callFor('mute');
  gone.abort();
  assert.equal((await refusal(gone)).status, 499);
  await nothingRuns();
});

test('places: a line in order, bounded in number and time', async () => {
  const go = join(base, 'go');
  script('wait', `while [ ! -e ${go} ]; do sleep 0.01; done; printf "\\nok"`);
  const narrow = handlerFor({ max_processes: 1, max_waiting: 1 });
  const first = textOf('wait', {}, narrow);
  await until('it runs', () => programs.size === 1);
  const second = callFor('wait');
  const secondRefused = refusal(second, narrow);
  // Locating is asynchronous: the second is in the line when a third one is refused.
  await until('the line is full', async () => {
    const third = callFor('wait');
    const answer = refusal(third, narrow);
    const full = await Promise.race([
      answer,
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 200)),
    ]);
    if (full === undefined) {
      third.abort();
      await answer;
      return false;
    }
    assert.equal(full.status, 503);
    assert.ok(full.headers.some(([name]) => name === 'retry-after'));
    return true;
  });
  second.abort();
  assert.equal((await secondRefused).status, 499);
  const fourth = textOf('wait', {}, narrow);
  writeFileSync(go, '');
  assert.deepEqual(await Promise.all([first, fourth]), ['ok', 'ok']);

  script('mute', 'sleep 1000');
  const impatient = handlerFor({ max_processes: 1, timeout: 300, queue_timeout: 300 });
  const answers = await Promise.all([refusal(callFor('mute'), impatient), refusal(callFor('mute'), impatient)]);
  assert.ok(answers.some((error) => error.status === 504));
  await nothingRuns();
});

test('close ends what runs and refuses what waits', async () => {
  script('mute', 'sleep 1000');
  const closing = handlerFor({ max_processes: 1 });
  const running = refusal(callFor('mute'), closing);
  await until('it runs', () => programs.size === 1);
  const waiting = refusal(callFor('mute'), closing);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await closing.close();
  assert.equal((await running).status, 502);
  assert.equal((await waiting).status, 503);
  assert.equal(programs.size, 0);
});
