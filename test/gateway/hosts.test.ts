/** Which hosts a gateway answers for, and that a page whose name was pointed at it (DNS rebinding) gets nothing: on both engines. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, refused, TestSocket } from '../support/client.ts';
import { folderWith, startGateway, startRunnel } from '../support/gateway.ts';
import { rawRequest } from '../support/raw.ts';

const FILES = { 'www/a.txt': 'a', 'cgi/name': '#!/bin/sh\necho; echo "$SERVER_NAME"\n' };
const ROUTES = `
[static."/"]
root = "www"
[static."board.local/only/"]
root = "www"
[cgi."/cgi/"]
root = "cgi"
[stream."/live"]
command = ["cat"]
`;

function listen(engine: string, hosts: string): string {
  return `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n${hosts}`;
}

test('a listener with "hosts" answers for those, for addresses and for localhost', async (t) => {
  const hosts = 'hosts = ["board.local", "*.example.org"]\n';
  const gateway = await startGateway(t, {
    config: `${listen('uws', hosts)}${listen('node', hosts)}${listen('auto', '')}${ROUTES}[admin]\nlisten = "127.0.0.1:0"\n`,
    files: FILES,
  });
  const [uws = 0, node = 0, open = 0, admin = 0] = gateway.ports;
  for (const [engine, port] of [
    ['uws', uws],
    ['node', node],
  ] as const)
    await t.test(engine, async () => {
      for (const host of [
        'board.local',
        'BOARD.local.:8080',
        'board.local:',
        'a.example.org',
        'localhost',
        '[::1]:80',
        '10.0.0.1',
      ])
        assert.equal((await ask(port, '/a.txt', { headers: { host } })).status, 200, host);
      for (const host of ['evil.test', 'board.local.evil.test', 'evil.test:80', 'example.org']) {
        for (const path of ['/a.txt', '/cgi/name', '/live', '/nothing', '/only/a.txt']) {
          const answer = await ask(port, path, { headers: { host } });
          assert.equal(answer.status, 421, `${host} ${path}`);
          assert.match(answer.body, /^421 Misdirected Request\n\nThis gateway does not serve the host name/);
        }
        const options = { headers: { host }, origin: `http://${host}` };
        assert.equal((await refused(`ws://127.0.0.1:${port}/live`, options)).status, 421);
      }
      const socket = await TestSocket.open(`ws://127.0.0.1:${port}/live`, {
        headers: { host: 'board.local:80' },
        origin: 'http://BOARD.local.',
      });
      socket.ws.close();
      await socket.closed;
    });
  await t.test('a request that names no host is no browser’s', async () => {
    assert.equal((await rawRequest(node, 'GET /a.txt HTTP/1.0\r\n\r\n')).status, 200);
    assert.equal((await rawRequest(uws, 'GET /a.txt HTTP/1.1\r\nHost:\r\n\r\n')).status, 200);
  });
  await t.test('a URL in the request line counts as the Host that it names', async () => {
    const get = (url: string, host: string) => rawRequest(node, `GET ${url} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    for (const host of ['board.local', 'BOARD.local.:80', 'board.local:'])
      assert.equal((await get('http://board.local/a.txt', host)).status, 200, host);
    assert.equal((await get('http://board.local/a.txt', 'localhost')).status, 421);
    assert.equal((await get('http://evil.test/a.txt', 'evil.test')).status, 421);
    assert.equal((await get('http://u@board.local/a.txt', 'board.local')).status, 421);
  });
  await t.test('without "hosts" it answers for any', async () => {
    assert.equal((await ask(open, '/a.txt', { headers: { host: 'evil.test' } })).status, 200);
    assert.equal((await ask(open, '/cgi/name', { headers: { host: 'Some.Name.:' } })).body, 'some.name\n');
  });
  await t.test('the operator’s own listener is of this machine unless told otherwise', async () => {
    assert.equal((await ask(admin, '/metrics', { headers: { host: 'evil.test' } })).status, 421);
    for (const host of ['localhost', 'localhost:9090', '127.0.0.1', '[::1]'])
      assert.equal((await ask(admin, '/healthz', { headers: { host } })).status, 200, host);
    const { body } = await ask(admin, '/metrics');
    assert.match(body, /^runnel_policy_refused_total\{route="-",policy="host"\} [1-9]/m);
  });
  const line = await gateway.logged((entry) => entry['status'] === 421);
  assert.match(
    String(line['because']),
    /^the Host field is evil\.test, which "hosts" of this listener does not list; to allow it, add it there$/,
  );
});

test('hosts of the operator’s listener, and a reload that changes those of another', async (t) => {
  const config = (hosts: string): string =>
    `${listen('uws', `hosts = ${hosts}\n`)}${ROUTES}[admin]\nlisten = "127.0.0.1:0"\nhosts = ["board"]\n`;
  const gateway = await startGateway(t, { config: config('["first.test"]'), files: FILES });
  const [port = 0, admin = 0] = gateway.ports;
  const status = async (host: string): Promise<number> => (await ask(port, '/a.txt', { headers: { host } })).status;
  assert.equal((await ask(admin, '/healthz', { headers: { host: 'board:9090' } })).status, 200);
  assert.deepEqual([await status('first.test'), await status('next.test')], [200, 421]);
  assert.match(gateway.noise(), /warning: .*static\."board\.local\/only\/": no request can reach it: no listener has/);
  writeFileSync(join(gateway.folder, 'runnel.toml'), config('["next.test"]'));
  gateway.process.kill('SIGHUP');
  await gateway.logged((entry) => entry.message === 'the configuration is reloaded');
  assert.deepEqual([await status('first.test'), await status('next.test')], [421, 200]);
});

test('run: this machine alone, under its own names', async (t) => {
  const folder = folderWith(t, {});
  const running = await startRunnel(t, ['run', '-l', ':0', '--hosts', 'my.test,*.lan', '--', 'cat'], { folder });
  const { message } = await running.logged((line) => line.message.startsWith('listening on'));
  assert.match(message, /^listening on http:\/\/localhost:\d+\/, and every address of this machine$/);
  const status = async (host: string): Promise<number> => (await ask(running.port, '/', { headers: { host } })).status;
  for (const host of ['localhost', '192.168.1.7', hostname(), `${hostname()}.local`, 'my.test', 'a.lan'])
    assert.equal(await status(host), 200, host);
  assert.equal(await status('evil.test'), 421);
  assert.equal((await refused(`ws://127.0.0.1:${running.port}/`, { headers: { host: 'evil.test' } })).status, 421);
});
