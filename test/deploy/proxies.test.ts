/** The configurations in deploy/proxy, with the real servers: they are valid, and page, CGI program and stream come through. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ask, TestSocket } from '../support/client.ts';
import { folderWith, startGateway } from '../support/gateway.ts';
import { freePort, PROXY_DEADLINE, soon, startProxy } from '../support/proxy.ts';

const proxies = fileURLToPath(new URL('../../../deploy/proxy', import.meta.url));

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
        '[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "www"\n[cgi."/cgi-bin/"]\nroot = "cgi"\n[stream."/echo"]\ncommand = ["cat"]\n[connections]\ntrusted_proxies = ["127.0.0.1"]\n',
      files: {
        'www/index.html': 'the page',
        'cgi/name': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n$SERVER_NAME $REMOTE_ADDR $REQUEST_SCHEME"\n',
      },
    });
    const port = await freePort();
    const text = own(readFileSync(join(proxies, file), 'utf8'))
      .replace(/(listen |bind :|^:)80\b/m, `$1${port}`)
      .replaceAll(/(server 127\.0\.0\.1:|board 127\.0\.0\.1:|reverse_proxy 127\.0\.0\.1:)8080/g, `$1${gateway.port}`);
    const folder = folderWith(t, { [file]: text });
    const path = join(folder, file);
    // Caddy writes what it did to HOME.
    const options = { encoding: 'utf8', env: { ...process.env, HOME: folder }, timeout: PROXY_DEADLINE } as const;
    const checked = spawnSync(program, check(path), options);
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);

    const noise = startProxy(t, program, run(path), options.env);
    const base = `127.0.0.1:${port}`;
    assert.equal(await soon(async () => await (await fetch(`http://${base}/`)).text(), noise), 'the page');
    // A client that says who it is, says so to nobody.
    const lies = { 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Proto': 'https' };
    const name = await ask(port, '/cgi-bin/name', { localAddress: '127.0.0.2', headers: lies });
    assert.equal(name.body, '127.0.0.1 127.0.0.2 http');
    const socket = await TestSocket.open(`ws://${base}/echo`, { origin: `http://${base}` });
    socket.ws.send('through');
    assert.deepEqual(await socket.first(1), ['through']);
    socket.ws.close();
    await socket.closed;
  });
