/** What changes around a proxy route while it works: gateways behind each other, a reload, an upstream that is started anew, a socket that is replaced. */
import assert from 'node:assert/strict';
import { renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { type ClientRequest, get as httpGet, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { startBoth } from '../../support/both-engines.ts';
import { ask, refused, TestSocket } from '../../support/client.ts';
import { folderWith, startGateway } from '../../support/gateway.ts';
import { freePort } from '../../support/ports.ts';
import { until } from '../../support/processes.ts';
import { httpUpstream } from '../../support/upstream.ts';

const listener = (port: number): string => `[[listen]]\naddress = "127.0.0.1:${port}"\n`;
const routeTo = (upstream: string, more = ''): string => `[proxy."/app/"]\nupstream = "${upstream}"\n${more}\n`;

/** An answer whose body is read as it comes. */
async function reading(
  t: TestContext,
  port: number,
  path: string,
): Promise<{ readonly text: () => string; readonly ended: Promise<'whole' | 'cut'> }> {
  const request: ClientRequest = httpGet({ host: '127.0.0.1', port, path, agent: false });
  t.after(() => request.destroy());
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject);
  });
  let text = '';
  response.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  const ended = new Promise<'whole' | 'cut'>((resolve) => {
    response.on('end', () => resolve('whole')).on('error', () => resolve('cut'));
  });
  return { text: () => text, ended };
}

test('two gateways that lead to each other end with 508, once each has seen the request', async (t) => {
  const [first, second] = [await freePort(), await freePort()];
  const one = await startGateway(t, { config: listener(first) + routeTo(`http://127.0.0.1:${second}`) });
  const two = await startGateway(t, {
    // Whoever sets its own Via hides nothing.
    config: listener(second) + routeTo(`http://127.0.0.1:${first}`, 'request_headers = { Via = "1.1 somebody" }'),
  });
  assert.equal((await ask(first, '/app/x')).status, 508);
  assert.equal((await ask(second, '/app/x', { method: 'POST', body: 'a' })).status, 508);
  assert.equal((await refused(`ws://127.0.0.1:${first}/app/x`)).status, 508);
  for (const gateway of [one, two]) {
    const served = gateway.log.filter(({ message }) => / \/app\/x/.test(message));
    assert.ok(served.length <= 6, served.map(({ message }) => message).join('\n'));
  }
});

test('a Unix socket that is replaced while connections to the old one are kept', async (t) => {
  const folder = folderWith(t, {});
  const path = join(folder, 'app.sock');
  const old = await httpUpstream(t, (_, response) => response.end('old'), { path });
  const gateway = await startBoth(t, { config: routeTo(`unix:${path}`) });
  for (const [, port] of gateway.engines) assert.equal((await ask(port, '/app/')).body, 'old');
  const other = join(folder, 'new.sock');
  await httpUpstream(t, (_, response) => response.end('new'), { path: other });
  renameSync(other, path);
  // The old one has still whoever was connected, until it ends.
  for (const socket of old.open) socket.destroy();
  for (const [engine, port] of gateway.engines) assert.equal((await ask(port, '/app/')).body, 'new', engine);
  unlinkSync(path);
  for (const [engine, port] of gateway.engines)
    await until(`${engine}: nothing is there`, async () => {
      const { status } = await ask(port, '/app/', { method: 'POST', body: 'a' });
      return status === 502 || status === 200;
    });
});

test('a reload that changes the route lets answers go on, and ends WebSockets', async (t) => {
  const sends: (() => void)[] = [];
  const ends: (() => void)[] = [];
  const answer = (name: string) => (_: IncomingMessage, response: import('node:http').ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${name} 1\n\n`);
    sends.push(() => response.write(`data: ${name} 2\n\n`));
    ends.push(() => response.end());
  };
  const before = await httpUpstream(t, answer('before'));
  const after = await httpUpstream(t, (_, response) => response.end('after'));
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise((resolve) => sockets.once('listening', resolve));
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
  });
  const closes: number[] = [];
  sockets.on('connection', (socket) => socket.on('close', (code: number) => closes.push(code)));
  const live = (sockets.address() as { port: number }).port;
  const config = (port: number, more: string): string =>
    `${routeTo(`http://127.0.0.1:${port}`)}[proxy."/live/"]\nupstream = "http://127.0.0.1:${live}"\n${more}\n`;
  const gateway = await startBoth(t, { config: config(before.port, '') });
  const streams = await Promise.all(gateway.engines.map(([, port]) => reading(t, port, '/app/')));
  const clients = await Promise.all(gateway.engines.map(([, port]) => TestSocket.open(`ws://127.0.0.1:${port}/live/`)));
  await until('both have begun', () => streams.every(({ text }) => text().includes('before 1')));

  const file = join(gateway.folder, 'runnel.toml');
  const head = `${gateway.engines.map(([engine]) => `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`).join('')}[admin]\nlisten = "127.0.0.1:0"\n`;
  writeFileSync(file, head + config(after.port, 'timeout = "50s"'));
  gateway.process.kill('SIGHUP');
  await until('the new one is asked', async () => {
    const answers = await Promise.all(gateway.engines.map(([, port]) => ask(port, '/app/').catch(() => undefined)));
    return answers.every((reply) => reply?.body === 'after');
  });
  assert.deepEqual(
    (await Promise.all(clients.map(({ closed }) => closed))).map(({ code }) => code),
    [1001, 1001],
  );
  await until('the upstream is told, too', () => closes.length === 2);
  assert.deepEqual(closes, [1001, 1001]);
  for (const send of sends) send();
  await until('the streams go on', () => streams.every(({ text }) => text().includes('before 2')));
  for (const end of ends) end();
  assert.deepEqual(await Promise.all(streams.map(({ ended }) => ended)), ['whole', 'whole']);
  await until('the old connections are gone', () => before.open.size === 0);
});

test('an upstream that is started anew: what was under way is cut, and the next request has the new one', async (t) => {
  const port = await freePort();
  const gateway = await startBoth(t, { config: routeTo(`http://127.0.0.1:${port}`) });
  for (let round = 0; round < 3; round++) {
    await t.test(`round ${round}`, async (inner) => {
      const upstream = await httpUpstream(
        inner,
        ({ url }, response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          response.write(`data: ${round}\n\n`);
          if (url !== '/app/stream') response.end();
        },
        { port },
      );
      const streams = await Promise.all(gateway.engines.map(([, own]) => reading(inner, own, '/app/stream')));
      for (const [engine, own] of gateway.engines)
        assert.match((await ask(own, '/app/')).body, new RegExp(`data: ${round}`), engine);
      await until('they are open', () => streams.every(({ text }) => text().includes(`data: ${round}`)));
      for (const socket of upstream.open) socket.destroy();
      assert.deepEqual(await Promise.all(streams.map(({ ended }) => ended)), ['cut', 'cut']);
    });
  }
});
