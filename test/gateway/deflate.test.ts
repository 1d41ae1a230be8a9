/** `compress` on a stream, on the real gateway: who gets it, what is counted, and what a reload makes of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { ask } from '../support/client.ts';
import { type Running, startGateway } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/processes.ts';

const DONE = 'the configuration is reloaded';
const LONG = 'a long message '.repeat(400);

async function open(t: TestContext, running: Running, path: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${running.port}${path}`, { perMessageDeflate: { threshold: 0 } });
  t.after(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

async function echo(socket: WebSocket, text: string): Promise<void> {
  const answer = once(socket, 'message');
  socket.send(text);
  assert.equal(String((await answer)[0]), text);
}

for (const engine of ['uws', 'node'])
  test(`${engine}: only WebSockets of the stream that has it, also from a reload on and until one`, async (t) => {
    const upstream = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true });
    upstream.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
    await once(upstream, 'listening');
    t.after(() => upstream.close());
    const port = await freePort();
    const config = (compress: boolean) =>
      `stop_timeout = "2s"\n[[listen]]\naddress = "127.0.0.1:${port}"\nengine = "${engine}"\n` +
      `[admin]\nlisten = "127.0.0.1:0"\n` +
      `[stream."/s"]\ncommand = ["cat"]\nshare = "all"\nhistory = 5\ncompress = ${compress}\n` +
      `[stream."/plain"]\ncommand = ["cat"]\n` +
      `[proxy."/proxied"]\nupstream = "http://127.0.0.1:${(upstream.address() as AddressInfo).port}"\n`;
    const running = await startGateway(t, { config: config(false) });
    const reload = async (compress: boolean): Promise<void> => {
      const before = running.log.filter(({ message }) => message === DONE).length;
      writeFileSync(join(running.folder, 'next.toml'), config(compress));
      renameSync(join(running.folder, 'next.toml'), join(running.folder, 'runnel.toml'));
      running.process.kill('SIGHUP');
      await until('the reload', () => running.log.filter(({ message }) => message === DONE).length > before);
    };
    assert.equal((await open(t, running, '/s')).extensions, '');
    await reload(true);
    const socket = await open(t, running, '/s');
    assert.match(socket.extensions, /permessage-deflate/);
    await echo(socket, 'short');
    await echo(socket, LONG);
    for (const path of ['/plain', '/proxied']) {
      const plain = await open(t, running, path);
      assert.equal(plain.extensions, '');
      await echo(plain, LONG);
    }
    const past = await ask(running.port, '/s?transport=history');
    assert.equal(past.headers['content-encoding'], undefined);
    assert.match(past.body, /a long message/);
    const zipped = await ask(running.port, '/s?transport=history', { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(zipped.headers['content-encoding'], 'gzip');
    const { body } = await ask(running.ports[1] ?? 0, '/metrics');
    assert.match(body, /^runnel_compressed_messages_total\{route="\/s"\} 1$/m);
    await reload(false);
    assert.equal((await open(t, running, '/s')).extensions, '');
    assert.equal(await running.stop(), 0);
  });
