/** Streams that poll a server: the example of docs/polling.md with scripts that use echo, and servers that speak TLS. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf } from '../../../docs/pages.ts';
import { Authority } from '../../../support/certificates.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { folderWith, startGateway } from '../../../support/gateway.ts';
import { OLD_PROGRAMS, oldSite } from '../../../support/old-programs.ts';

const LISTEN = '[[listen]]\naddress = "127.0.0.1:0"\n';

for (const server of OLD_PROGRAMS.filter(({ cgi }) => cgi !== undefined))
  test(`the example of the documentation, and a script that uses echo: ${server.name}`, async (t) => {
    if (!existsSync(server.program)) return t.skip(`needs ${server.program}`);
    const site = await oldSite(t, server);
    // What echo prints.
    site.print('Content-Type: text/plain\nX-State: good\n\nup\n');
    const example = codeOf('docs/polling.md', 'toml', { begins: '# busybox httpd ' });
    const config = example.replace('127.0.0.1:8081/cgi-bin/status.cgi', `127.0.0.1:${site.port}/cgi-bin/page.cgi`);
    assert.notEqual(config, example);
    const running = await startGateway(t, { config: `${LISTEN}${config}interval = "100ms"\n` });
    const viewer = await EventClient.open(running.port, '/live/status');
    assert.deepEqual(await viewer.first(1), ['up\n']);
    site.print('Content-Type: text/plain\n\ndown\n');
    assert.deepEqual(await viewer.first(2), ['up\n', 'down\n']);
    assert.deepEqual(viewer.all('notice'), []);
    viewer.close();
    assert.equal(await running.stop(), 0);
  });

test('a server that speaks TLS is asked when its certificate is good', async (t) => {
  const authority = new Authority();
  const made = authority.server(['127.0.0.1', 'localhost']);
  const stranger = new Authority('Stranger').server(['127.0.0.1']);
  const folder = folderWith(t, { 'ca.crt': authority.certificate });
  const ports: number[] = [];
  for (const { certificate, pem } of [made, stranger]) {
    const server = createServer({ cert: certificate, key: pem }, (incoming, response) =>
      response.end(`${incoming.headers.host}${incoming.url}`),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    ports.push((server.address() as AddressInfo).port);
  }
  const [good, bad] = ports;
  const config = `${LISTEN}[stream."/address"]\npoll = "https://127.0.0.1:${good}/a?b"
[stream."/name"]\npoll = "https://localhost:${good}/a?b"\n[stream."/stranger"]\npoll = "https://127.0.0.1:${bad}/"\n`;
  const running = await startGateway(t, { config, env: { NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt') } });
  for (const [path, host] of [
    ['/address', '127.0.0.1'],
    ['/name', 'localhost'],
  ] as const) {
    const viewer = await EventClient.open(running.port, path);
    assert.deepEqual(await viewer.first(1), [`${host}:${good}/a?b`]);
    viewer.close();
  }
  const viewer = await EventClient.open(running.port, '/stranger');
  assert.match((await viewer.first(1, 'notice'))[0] ?? '', /: its certificate is not accepted;/);
  viewer.close();
  assert.equal(await running.stop(), 0);
});
