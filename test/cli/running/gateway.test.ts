/** How a verb finds the gateway that runs. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { adminAddress, askGateway, NoGateway } from '../../../src/cli/running/gateway.ts';
import { folderWith } from '../../support/gateway.ts';

function file(t: TestContext, text: string): string {
  return join(folderWith(t, { 'runnel.toml': text }), 'runnel.toml');
}

test('the address is that of [admin], and nothing else of the file has to be right', (t) => {
  const of = (listen: string) =>
    adminAddress(file(t, `[admin]\nlisten = "${listen}"\n[static."/"]\nroot = "gone"\n`))?.to;
  assert.deepEqual(of('127.0.0.1:9180'), { host: '127.0.0.1', port: 9180 });
  assert.deepEqual(of(':9180'), { host: 'localhost', port: 9180 });
  assert.deepEqual(of('0.0.0.0:9180'), { host: '127.0.0.1', port: 9180 });
  assert.deepEqual(of('unix:/run/x.sock'), { socketPath: '/run/x.sock' });
});

test('what is missing is said', (t) => {
  const none: readonly (readonly [string, RegExp])[] = [
    ['[admin]\nlisten = "nowhere"\n', /is no address/],
    ['[admin\n', /runnel.toml:1: /],
  ];
  for (const [text, why] of none)
    assert.throws(
      () => adminAddress(file(t, text)),
      (error) => error instanceof NoGateway && why.test(error.message),
    );
  assert.throws(() => adminAddress('/nowhere/runnel.toml'), NoGateway);
  for (const text of [
    '[static."/"]\nroot = "."\n',
    ...['127.0.0.1:0', 'systemd:admin'].map((to) => `[admin]\nlisten = "${to}"\n`),
  ])
    assert.equal(adminAddress(file(t, text)), undefined, text);
});

test('it is asked over a Unix socket', async (t) => {
  const path = join(folderWith(t, {}), 'admin.sock');
  const server = createServer((request, response) =>
    response.end(`${request.method} ${request.url} ${request.headers.host}`),
  );
  await new Promise<void>((listening) => server.listen(path, listening));
  t.after(() => server.close());
  const answer = await askGateway({ text: path, to: { socketPath: path } }, { method: 'GET', path: '/status.json' });
  assert.deepEqual(answer, { status: 200, body: 'GET /status.json localhost' });
});

test('where nobody listens, or nobody answers, that is said', async (t) => {
  const path = join(folderWith(t, {}), 'admin.sock');
  const address = { text: 'unix:admin.sock', to: { socketPath: path } };
  await assert.rejects(
    askGateway(address, { method: 'GET', path: '/' }),
    /unix:admin.sock does not answer, because no gateway listens there/,
  );
  const server = createServer(() => undefined);
  await new Promise<void>((listening) => server.listen(path, listening));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await assert.rejects(askGateway(address, { method: 'GET', path: '/', patience: 50 }), /no answer within 0.05 s/);
});
