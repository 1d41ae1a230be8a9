/** The configurations in deploy/proxy, with the real servers: they are valid, and page, CGI program and stream come through. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ask, TestSocket } from '../support/client.ts';
import { folderWith, type Running, startGateway } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { PROXY_DEADLINE, soon, startProxy } from '../support/proxy.ts';

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

/** Where the gateway listens, and what its configuration has to say of the proxy. */
const WAYS = [
  {
    way: 'over TCP',
    listen: 'address = "127.0.0.1:0"',
    connections: 'trusted_proxies = ["127.0.0.1"]',
    to: (text: string, { port }: Running) =>
      text.replaceAll(/(server |board |reverse_proxy )127\.0\.0\.1:8080/g, `$1127.0.0.1:${port}`),
  },
  {
    way: 'over a Unix socket',
    listen: 'address = "unix:http.sock"\nmode = "0666"',
    connections: '',
    /** As the comments in the files say it. */
    to: (text: string, { folder }: Running) =>
      text
        .replace('server 127.0.0.1:8080', `server unix:${folder}/http.sock`)
        .replace('board 127.0.0.1:8080', `board unix@${folder}/http.sock`)
        .replace('reverse_proxy 127.0.0.1:8080', `reverse_proxy unix/${folder}/http.sock`),
  },
];
const FILES = {
  'www/index.html': 'the page',
  'cgi/name': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n$SERVER_NAME $REMOTE_ADDR $REQUEST_SCHEME"\n',
  /** "secret", cost 4. */
  people: 'ann:$2y$04$kqWdSTvhEr2Hu8l4fHRnWOia2bNzhKf4kx7azPi9JiZKFrmNunKnK\n',
};
const ROUTES = `
[static."/"]
root = "www"
[static."/locked/"]
root = "www"
auth = { basic = "people" }
[cgi."/cgi-bin/"]
root = "cgi"
[stream."/echo"]
command = ["cat"]
`;
const password = (text: string) => ({ Authorization: `Basic ${Buffer.from(`ann:${text}`).toString('base64')}` });

for (const { program, file, check, run, own } of SERVERS)
  for (const { way, listen, connections, to } of WAYS)
    test(`${program} in front, ${way}`, async (t) => {
      if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return t.skip(`needs ${program}`);
      const gateway = await startGateway(t, {
        config: `[[listen]]\n${listen}\n[connections]\nfailed_logins = 3\n${connections}\n${ROUTES}`,
        files: FILES,
      });
      // The proxy's own user has to get there.
      chmodSync(gateway.folder, 0o755);
      if (way !== 'over TCP') chmodSync(join(gateway.folder, 'http.sock'), 0o777);
      const port = await freePort();
      const text = own(readFileSync(join(proxies, file), 'utf8')).replace(/(listen |bind :|^:)80\b/m, `$1${port}`);
      const folder = folderWith(t, { [file]: to(text, gateway) });
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

      const guesses: number[] = [];
      for (let count = 0; count < 4; count++)
        guesses.push((await ask(port, '/locked/', { localAddress: '127.0.0.3', headers: password('wrong') })).status);
      assert.deepEqual(guesses, [401, 401, 401, 429]);
      const ann = await ask(port, '/locked/', { localAddress: '127.0.0.4', headers: password('secret') });
      assert.equal(ann.status, 200, 'another visitor');
    });
