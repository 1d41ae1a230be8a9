/** `runnel websocketd` as those who use websocketd know it: started by its command line, asked over real connections, killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { Authority } from '../../support/certificates.ts';
import { ask, refused, TestSocket } from '../../support/client.ts';
import { folderWith } from '../../support/gateway.ts';
import { freePort } from '../../support/ports.ts';
import { processes } from '../../support/processes.ts';
import { RawClient, rawRequest } from '../../support/raw.ts';
import { until } from '../../support/until.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url));

class Drop {
  stdout = '';
  stderr = '';
  readonly exited: Promise<number | null>;

  constructor(
    readonly child: ChildProcess,
    readonly port: number,
  ) {
    child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.exited = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
  }

  ws(path = '/'): string {
    return `ws://127.0.0.1:${this.port}${path}`;
  }

  /** Waits until stdout has it. */
  async says(what: string | RegExp): Promise<void> {
    await until(
      () =>
        (typeof what === 'string' ? this.stdout.includes(what) : what.test(this.stdout)) ||
        this.child.exitCode !== null,
      `${String(what)} in ${this.stdout}${this.stderr}`,
    );
    if (typeof what === 'string') assert.ok(this.stdout.includes(what), `${what}\n${this.stdout}${this.stderr}`);
    else assert.match(this.stdout, what);
  }
}

interface Setting {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What stands before the options. */
  readonly start?: readonly string[];
}

function begin(t: TestContext, args: readonly string[], port: number, { cwd, env, start }: Setting): Drop {
  const child = spawn(process.execPath, [...(start ?? [MAIN, 'websocketd']), ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const drop = new Drop(child, port);
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await drop.exited;
  });
  return drop;
}

/** Started on a port of its own, and waited for as websocketd is waited for: the path of a request of HTTP/1.0 appears on stdout. */
async function start(t: TestContext, args: readonly string[], setting: Setting = {}): Promise<Drop> {
  const port = await freePort();
  const drop = begin(t, [`--port=${port}`, '--address=127.0.0.1', ...args], port, setting);
  await until(
    () => drop.stdout.includes('ready') || drop.child.exitCode !== null,
    `ready: ${drop.stdout}${drop.stderr}`,
  );
  const reply = await rawRequest(port, 'GET /probe_path HTTP/1.0\r\n\r\n');
  assert.ok(reply.status === 404 || reply.status === 200, String(reply.status));
  await drop.says('/probe_path');
  return drop;
}

/** Runs one that ends by itself. */
async function ended(
  t: TestContext,
  args: readonly string[],
  setting: Setting = {},
): Promise<Drop & { code: number | null }> {
  const drop = begin(t, args, 0, setting);
  const code = await drop.exited;
  return Object.assign(drop, { code });
}

const SH = ['/bin/sh', '-c'];

/** Programs and helpers alike. */
function descendantsOf(pid: number): readonly number[] {
  const children = processes().flatMap((one) => (one.parent === pid ? one.pid : []));
  return [...children, ...children.flatMap(descendantsOf)];
}

test('a line comes back; CONNECT and DISCONNECT; a plain request is 404 and logged', async (t) => {
  const drop = await start(t, ['/bin/cat']);
  assert.match(drop.stdout, /\| INFO {3}\| server {5}\| .*Starting WebSocket server {3}: ws:\/\/127\.0\.0\.1:/);
  assert.match(drop.stdout, /\| ACCESS \| http {7}\| url:'\/probe_path' .*NOT FOUND/);
  const socket = await TestSocket.open(drop.ws('/any/path?x=1'));
  for (const message of ['one', 'with\nanother', 'crlf\r', '', 'x'.repeat(900_000)]) socket.ws.send(message);
  assert.deepEqual(await socket.first(6), ['one', 'with', 'another', 'crlf', '', 'x'.repeat(900_000)]);
  await drop.says(/\| ACCESS \| session {4}\| url:'\/any\/path\?x=1'.*\| CONNECT/);
  socket.ws.close();
  await drop.says('DISCONNECT');
  assert.equal((await ask(drop.port, '/any/path')).status, 404);
  assert.equal(drop.stderr, '');
});

test('what a program writes to stderr is in the log on stdout, long lines too', async (t) => {
  const drop = await start(t, [
    ...SH,
    'echo oh no >&2; head -c 20000 /dev/zero | tr "\\0" y >&2; echo >&2; echo said; cat',
  ]);
  const socket = await TestSocket.open(drop.ws());
  assert.deepEqual(await socket.first(1), ['said']);
  await drop.says(/\| ERROR {2}\| stderr {5}\| .*\| oh no/);
  await drop.says('yyyy');
  assert.equal(drop.stderr, '');
});

test('the environment: what websocketd sets, what --passenv names, and nothing else', async (t) => {
  const drop = await start(t, ['--passenv=PATH,MINE', '/usr/bin/env'], {
    env: {
      MINE: 'mine',
      SECRET: 'secret',
      LANG: 'C.UTF-8',
      TZ: 'UTC',
      HOME: '/h',
      USER: 'u',
      SHELL: '/s',
      TERM: 'vt100',
    },
  });
  const ask = async (): Promise<ReadonlyMap<string, string>> => {
    const socket = await TestSocket.open(drop.ws('/path?query=1'), {
      headers: { 'X-Custom-Test': 'v', Proxy: 'evil' },
    });
    await socket.closed;
    return new Map(
      socket.messages.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  };
  const env = await ask();
  assert.match(env.get('SERVER_SOFTWARE') ?? '', /^websocketd\//);
  assert.equal(env.get('GATEWAY_INTERFACE'), 'CGI/1.1');
  assert.equal(env.get('REMOTE_ADDR'), '127.0.0.1');
  assert.equal(env.get('REMOTE_HOST'), '127.0.0.1');
  assert.match(env.get('REMOTE_PORT') ?? '', /^\d+$/);
  assert.equal(env.get('REQUEST_URI'), '/path?query=1');
  assert.equal(env.get('QUERY_STRING'), 'query=1');
  assert.equal(env.get('PATH_INFO'), '/path');
  assert.equal(env.get('SERVER_PORT'), String(drop.port));
  assert.equal(env.get('HTTP_X_CUSTOM_TEST'), 'v');
  assert.equal(env.get('MINE'), 'mine');
  for (const name of ['SECRET', 'HOME', 'USER', 'SHELL', 'TERM', 'LANG', 'LC_ALL', 'TZ', 'HTTPS', 'HTTP_PROXY'])
    assert.equal(env.get(name), undefined, name);
  assert.notEqual((await ask()).get('UNIQUE_ID'), env.get('UNIQUE_ID'));
});

test('--reverselookup names the client where its address has a name', async (t) => {
  const drop = await start(t, ['--reverselookup', '/usr/bin/printenv', 'REMOTE_HOST']);
  const socket = await TestSocket.open(drop.ws());
  // What 127.0.0.1 is called is the machine's own affair; where it has no name, it is the address.
  assert.match((await socket.first(1))[0] ?? '', /^[A-Za-z0-9_.-]+$/);
});

test('--binary, with messages of 2 MiB where there is no limit', async (t) => {
  const drop = await start(t, ['--binary', '--maxframesize=0', '/bin/cat']);
  const socket = new WebSocket(drop.ws(), { perMessageDeflate: false });
  const parts: Buffer[] = [];
  socket.on('message', (data: Buffer) => parts.push(data));
  await once(socket, 'open');
  const sent = Buffer.alloc(2 << 20, 7);
  socket.send(sent);
  await until(() => parts.reduce((sum, part) => sum + part.length, 0) === sent.length, 'all of it');
  assert.ok(Buffer.concat(parts).equals(sent));
  socket.terminate();
});

test('--maxframesize is about clients, not about programs', async (t) => {
  const drop = await start(t, [
    '--maxframesize=1000',
    ...SH,
    'read -r line; head -c 5000 /dev/zero | tr "\\0" y; echo; cat',
  ]);
  const socket = await TestSocket.open(drop.ws());
  socket.ws.send('go');
  assert.deepEqual(await socket.first(1), ['y'.repeat(5000)]);
  socket.ws.send('z'.repeat(1001));
  assert.equal((await socket.closed).code, 1009);
});

test('--passstderr tells stdout and stderr apart, and both are complete', async (t) => {
  const drop = await start(t, ['--passstderr', ...SH, 'echo "an \\"out\\""; echo err >&2; printf last']);
  const socket = await TestSocket.open(drop.ws());
  await socket.closed;
  assert.deepEqual([...socket.messages].sort(), [
    '{"stream":"stderr","data":"err"}',
    '{"stream":"stdout","data":"an \\"out\\""}',
    '{"stream":"stdout","data":"last"}',
  ]);
  await drop.says(/\| stderr .*\| err/);
});

test('--maxforks: one too many gets 429 before its upgrade, a CGI program too', async (t) => {
  const folder = folderWith(t, { 'hello.sh': '#!/bin/sh\necho "Content-Type: text/plain"\necho\necho hello\n' });
  const drop = await start(t, ['--maxforks=1', `--cgidir=${folder}`, '/bin/cat']);
  assert.equal((await ask(drop.port, '/hello.sh')).body, 'hello\n');
  const socket = await TestSocket.open(drop.ws());
  assert.equal((await refused(drop.ws())).status, 429);
  assert.equal((await ask(drop.port, '/hello.sh')).status, 429);
  socket.ws.close();
  await drop.says('DISCONNECT');
  let again: number | undefined;
  while (again !== 200) again = (await ask(drop.port, '/hello.sh')).status;
});

test('a command beside --staticdir and --cgidir: WebSockets at every path, programs before files', async (t) => {
  const folder = folderWith(t, {
    'www/index.html': 'the page',
    'www/sub/page.html': 'below',
    'www/both.sh': 'a file',
    'cgi/both.sh': '#!/bin/sh\necho "Content-Type: text/plain"\necho\necho "a program $SERVER_SOFTWARE$PATH_INFO"\n',
    'cgi/plain.txt': 'no program',
    'secret.sh': '#!/bin/sh\necho\necho secret\n',
  });
  symlinkSync(join(folder, 'secret.sh'), join(folder, 'cgi/leak.sh'));
  symlinkSync(join(folder, 'secret.sh'), join(folder, 'www/leak.txt'));
  symlinkSync(join(folder, 'www/index.html'), join(folder, 'www/inside.html'));
  const drop = await start(t, [
    `--staticdir=${folder}/www`,
    `--cgidir=${folder}/cgi`,
    '--header-http=X-Plain: yes',
    '--header-ws=X-Ws: yes',
    '--header=X-All: yes',
    '/bin/cat',
  ]);
  for (const path of ['/', '/sub/page.html', '/both.sh']) {
    const socket = await TestSocket.open(drop.ws(path));
    socket.ws.send('hello');
    assert.deepEqual(await socket.first(1), ['hello'], path);
    socket.ws.close();
  }
  const page = await ask(drop.port, '/');
  assert.equal(page.body, 'the page');
  assert.deepEqual([page.headers['x-plain'], page.headers['x-all'], page.headers['x-ws']], ['yes', 'yes', undefined]);
  assert.equal((await ask(drop.port, '/sub/page.html')).body, 'below');
  assert.equal((await ask(drop.port, '/inside.html')).body, 'the page');
  assert.match((await ask(drop.port, '/both.sh/more')).body, /^a program websocketd\/.*\/more\n$/);
  assert.equal((await ask(drop.port, '/none')).status, 404);
  for (const path of ['/leak.sh', '/leak.txt', '/../secret.sh', '/..%2fsecret.sh', '/plain.txt', '/.git/x']) {
    const { status, body } = await ask(drop.port, path);
    assert.notEqual(status, 200, path);
    assert.doesNotMatch(body, /secret|no program/, path);
  }
  const opened = new WebSocket(drop.ws());
  const [response] = (await once(opened, 'upgrade')) as [import('node:http').IncomingMessage];
  assert.deepEqual(
    [response.headers['x-ws'], response.headers['x-all'], response.headers['x-plain']],
    ['yes', 'yes', undefined],
  );
  opened.terminate();
});

test('--dir: the path names the program; what is none is 404', async (t) => {
  const folder = folderWith(t, {
    'programs/hello.sh': '#!/bin/sh\necho "hello $SCRIPT_NAME $PATH_INFO"\n',
    'programs/deep/er.sh': '#!/bin/sh\ncat\n',
    'outside.sh': '#!/bin/sh\necho outside\n',
  });
  symlinkSync(join(folder, 'outside.sh'), join(folder, 'programs/leak.sh'));
  const drop = await start(t, [`--dir=${folder}/programs`]);
  const hello = await TestSocket.open(drop.ws('/hello.sh/a/b'));
  assert.deepEqual(await hello.first(1), ['hello /hello.sh /a/b']);
  const deep = await TestSocket.open(drop.ws('/deep/er.sh'));
  deep.ws.send('deep');
  assert.deepEqual(await deep.first(1), ['deep']);
  deep.ws.close();
  for (const path of ['/none.sh', '/deep', '/leak.sh', '/..%2foutside.sh', '/'])
    assert.ok([403, 404].includes((await refused(drop.ws(path))).status), path);
});

test('--devconsole: a page at every path, with the path escaped; WebSockets as before', async (t) => {
  const drop = await start(t, ['--devconsole', '--header=X-A: b', '/bin/cat']);
  const client = await RawClient.connect(drop.port);
  client.send('GET /"><script>alert(1)</script> HTTP/1.1\r\nHost: x\r\n\r\n');
  const page = await client.reply();
  client.destroy();
  assert.equal(page.status, 200);
  assert.equal(page.header('x-a'), 'b');
  const html = page.body.toString();
  assert.match(html, /<html|<!doctype html/i);
  assert.ok(!html.includes('"><script>alert(1)'));
  assert.ok(html.includes('&lt;script&gt;alert(1)'));
  const socket = await TestSocket.open(drop.ws('/deep/path'));
  socket.ws.send('x');
  assert.deepEqual(await socket.first(1), ['x']);
});

const ORIGINS: readonly [args: readonly string[], origin: string, welcome: boolean][] = [
  [[], 'http://any.example', true],
  [[], 'null', true],
  [['--sameorigin'], 'http://127.0.0.1:PORT', true],
  [['--sameorigin'], 'http://evil.example', false],
  [['--sameorigin'], 'null', false],
  [['--origin=trusted.com'], 'http://trusted.com', true],
  [['--origin=trusted.com'], 'https://trusted.com:8443', true],
  [['--origin=trusted.com'], 'http://untrusted.com', false],
  [['--origin=trusted.com'], 'http://x.trusted.com', false],
  [['--origin=trusted.com:3000'], 'http://trusted.com:3000', true],
  [['--origin=trusted.com:3000'], 'http://trusted.com:4000', false],
  [['--origin=a.com,https://b.com'], 'http://a.com', true],
  [['--origin=a.com,https://b.com'], 'https://b.com', true],
  [['--origin=a.com,https://b.com'], 'http://b.com', false],
];

test('--origin and --sameorigin', async (t) => {
  const drops = new Map<string, Promise<Drop>>();
  for (const [args, origin, welcome] of ORIGINS) {
    const name = args.join(' ');
    const starting = drops.get(name) ?? start(t, [...args, '/bin/cat']);
    drops.set(name, starting);
    const drop = await starting;
    const options = { headers: { Origin: origin.replace('PORT', String(drop.port)) } };
    if (welcome) (await TestSocket.open(drop.ws(), options)).ws.terminate();
    else assert.equal((await refused(drop.ws(), options)).status, 403, `${name}: ${origin}`);
  }
});

test('--ssl: HTTPS=on, requests are logged; --redirport leads there', async (t) => {
  const authority = new Authority();
  const server = authority.server(['localhost']);
  const folder = folderWith(t, { 'c.pem': server.certificate, 'k.pem': server.pem });
  const port = await freePort();
  const redirect = await freePort();
  const tls = ['--ssl', `--sslcert=${folder}/c.pem`, `--sslkey=${folder}/k.pem`];
  const drop = begin(
    t,
    [`--port=${port}`, '--address=127.0.0.1', `--redirport=${redirect}`, ...tls, '/usr/bin/printenv', 'HTTPS'],
    port,
    {},
  );
  await drop.says('ready');
  assert.match(drop.stdout, /wss:\/\/127\.0\.0\.1:/);
  const socket = await TestSocket.open(`wss://localhost:${port}/tls_path`, { ca: authority.certificate });
  assert.deepEqual(await socket.first(1), ['on']);
  await drop.says('/tls_path');
  const moved = await ask(redirect, '/x?y=z', { headers: { Host: `localhost:${redirect}` } });
  assert.equal(moved.status, 301);
  assert.equal(moved.headers['location'], `https://localhost:${port}/x?y=z`);
});

test('--redirport without --ssl leads to the main port over plain HTTP', async (t) => {
  const redirect = await freePort();
  const drop = await start(t, [`--redirport=${redirect}`, '/bin/cat']);
  const moved = await ask(redirect, '/', { headers: { Host: `127.0.0.1:${redirect}` } });
  assert.equal(moved.headers['location'], `http://127.0.0.1:${drop.port}/`);
});

test('--pingms: a client that answers no ping is dropped', async (t) => {
  const drop = await start(t, ['--pingms=200', ...SH, 'cat; echo over > over'], { cwd: folderWith(t, {}) });
  const dead = await RawClient.connect(drop.port);
  dead.send(
    'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  const alive = await TestSocket.open(drop.ws());
  await dead.ended();
  alive.ws.send('still here');
  assert.deepEqual(await alive.first(1), ['still here']);
});

test('--unixsocket alone: no TCP; a live one is left alone, a dead one replaced', async (t) => {
  const folder = folderWith(t, {});
  const path = join(folder, 's');
  const one = begin(t, [`--unixsocket=${path}`, '/bin/cat'], 0, {});
  await one.says(`unix socket at ${path}`);
  await one.says('ready');
  assert.ok(!one.stdout.includes('ws://'));
  const echo = async (): Promise<void> => {
    const socket = await TestSocket.open(`ws+unix:${path}:/`);
    socket.ws.send('x');
    assert.deepEqual(await socket.first(1), ['x']);
    socket.ws.terminate();
  };
  await echo();
  const second = await ended(t, [`--unixsocket=${path}`, '/bin/cat']);
  assert.notEqual(second.code, 0);
  assert.match(second.stdout, /already in use/);
  await echo();
  one.child.kill('SIGKILL');
  await one.exited;
  assert.ok(existsSync(path));
  const third = begin(t, [`--unixsocket=${path}`, '/bin/cat'], 0, {});
  await third.says('ready');
  await echo();
});

test('a port in use', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const { code, stdout, stderr } = await ended(t, [`--port=${address.port}`, '--address=127.0.0.1', '/bin/cat']);
  assert.equal(code, 3);
  assert.match(stdout, /\| FATAL {2}\| server .*address already in use/);
  assert.equal(stderr, '');
});

test('kill -9: programs end, and nothing is left', async (t) => {
  const mark = `mark-of-${process.pid}`;
  const drop = await start(t, [...SH, 'echo $$; cat; exit 0', mark]);
  const socket = await TestSocket.open(drop.ws());
  const [pid = ''] = await socket.first(1);
  const helpers = descendantsOf(drop.child.pid ?? 0);
  assert.ok(helpers.includes(Number(pid)));
  drop.child.kill('SIGKILL');
  await drop.exited;
  await until(() => !processes().some(({ command }) => command.includes(mark)), 'the program to end');
  await until(() => !processes().some((one) => helpers.includes(one.pid)), 'no helper to be left');
});

test('what only tells something, and what is refused: on which output, with which code', async (t) => {
  const version = await ended(t, ['--version']);
  assert.equal(version.code, 0);
  assert.match(version.stdout, /websocketd/);
  const help = await ended(t, ['--help']);
  assert.match(help.stdout, /--port[\s\S]*--ssl/);
  assert.match((await ended(t, ['--license'])).stdout, /BSD/);
  const both = await ended(t, ['--binary', '--passstderr', 'cat']);
  assert.notEqual(both.code, 0);
  assert.match(both.stderr, /--binary and --passstderr/);
  const unknown = await ended(t, ['--nonsense', 'cat']);
  assert.equal(unknown.code, 2);
  const missing = await ended(t, ['--port=8080', 'no-such-program-anywhere']);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /no-such-program-anywhere/);
});

test('a link that is called websocketd is websocketd', async (t) => {
  const folder = folderWith(t, {});
  const link = join(folder, 'websocketd');
  symlinkSync(MAIN, link);
  const drop = await start(t, ['/bin/cat'], { start: [link] });
  const socket = await TestSocket.open(drop.ws());
  socket.ws.send('x');
  assert.deepEqual(await socket.first(1), ['x']);
  const config = await ended(t, ['--print-config', '--port=8081', 'cat'], { start: [link] });
  assert.equal(config.code, 0);
  assert.match(config.stdout, /^\[stream\."\/"\]$/m);
});

test('a field of --header that is written twice is sent twice', async (t) => {
  const drop = await start(t, [
    '--header=Set-Cookie: a=1',
    '--header-http',
    'Set-Cookie: b=2',
    '--header-ws=X-Y: 3',
    '/bin/cat',
  ]);
  assert.deepEqual((await ask(drop.port, '/')).headers['set-cookie'], ['a=1', 'b=2']);
});
