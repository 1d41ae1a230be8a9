/** The configurations in deploy/proxy, with the real servers: they are valid, and page, CGI program and stream come through. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TestSocket } from '../support/client.ts';
import { folderWith, startGateway } from '../support/gateway.ts';

const proxies = fileURLToPath(new URL('../../../deploy/proxy', import.meta.url));
const DEADLINE = 15_000;

const SERVERS = [
  {
    program: 'nginx',
    file: 'nginx.conf',
    check: (file: string) => ['-t', '-p', join(file, '..'), '-c', file],
    // Its paths are Debian's, which only root may write to.
    run: (file: string) => ['-p', join(file, '..'), '-c', file, '-g', 'daemon off; pid nginx.pid; error_log stderr;'],
    own: (text: string) => text.replace('http {', 'http {\n    access_log off;'),
  },
  {
    program: 'haproxy',
    file: 'haproxy.cfg',
    check: (file: string) => ['-c', '-f', file],
    run: (file: string) => ['-db', '-f', file],
    own: (text: string) => text,
  },
  {
    program: 'caddy',
    file: 'Caddyfile',
    check: (file: string) => ['validate', '--adapter', 'caddyfile', '--config', file],
    run: (file: string) => ['run', '--adapter', 'caddyfile', '--config', file],
    own: (text: string) => text,
  },
];

for (const { program, file, check, run, own } of SERVERS)
  test(`${program} in front`, async (t) => {
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return t.skip(`needs ${program}`);
    const gateway = await startGateway(t, {
      config:
        '[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "www"\n[cgi."/cgi-bin/"]\nroot = "cgi"\n[stream."/echo"]\ncommand = ["cat"]\n',
      files: {
        'www/index.html': 'the page',
        'cgi/name': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n$SERVER_NAME"\n',
      },
    });
    const port = await freePort();
    const text = own(readFileSync(join(proxies, file), 'utf8'))
      .replace(/(listen |bind :|^:)80\b/m, `$1${port}`)
      .replaceAll(/(server 127\.0\.0\.1:|board 127\.0\.0\.1:|reverse_proxy 127\.0\.0\.1:)8080/g, `$1${gateway.port}`);
    const folder = folderWith(t, { [file]: text });
    const path = join(folder, file);
    // Caddy writes what it did to HOME.
    const options = { encoding: 'utf8', env: { ...process.env, HOME: folder }, timeout: DEADLINE } as const;
    const checked = spawnSync(program, check(path), options);
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);

    const proxy = spawn(program, run(path), { stdio: ['ignore', 'pipe', 'pipe'], env: options.env });
    let noise = '';
    for (const stream of [proxy.stdout, proxy.stderr])
      stream.on('data', (chunk: Buffer) => {
        noise += chunk.toString();
      });
    await endWith(t, proxy);
    const base = `127.0.0.1:${port}`;
    assert.equal(await page(`http://${base}/`, () => noise), 'the page');
    assert.equal(await (await fetch(`http://${base}/cgi-bin/name`)).text(), '127.0.0.1');
    const socket = await TestSocket.open(`ws://${base}/echo`, { origin: `http://${base}` });
    socket.ws.send('through');
    assert.deepEqual(await socket.first(1), ['through']);
    socket.ws.close();
    await socket.closed;
  });

/** Ends it after the test; nginx's workers go with their master. */
async function endWith(t: TestContext, proxy: ReturnType<typeof spawn>): Promise<void> {
  t.after(async () => {
    const ended = new Promise((resolve) => proxy.once('exit', resolve));
    if (proxy.exitCode !== null || proxy.signalCode !== null) return;
    proxy.kill('SIGTERM');
    const late = setTimeout(() => proxy.kill('SIGKILL'), DEADLINE);
    await ended;
    clearTimeout(late);
  });
}

/** The page, as soon as the proxy listens. */
async function page(url: string, noise: () => string): Promise<string> {
  const deadline = Date.now() + DEADLINE;
  for (;;) {
    try {
      return await (await fetch(url)).text();
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`no answer; it said:\n${noise()}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** These programs cannot be given port 0. Nothing else here takes a port just freed. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
