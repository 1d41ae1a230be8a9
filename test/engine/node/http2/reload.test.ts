/** A reload while HTTP/2 streams are open, through the whole gateway: with the listener as it is, and with one that becomes another. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Authority } from '../../../support/certificates.ts';
import { type Running, startGateway } from '../../../support/gateway.ts';
import { ask2, openSession } from '../../../support/http2.ts';
import { Http2Socket } from '../../../support/http2-socket.ts';
import { askSecurely, handshake } from '../../../support/https.ts';
import { freePort } from '../../../support/ports.ts';
import { until } from '../../../support/until.ts';

const { certificate, pem } = new Authority().server(['board.test']);
const FILES = {
  'board.pem': certificate,
  'board.key': pem,
  'old/a.txt': 'old',
  'new/a.txt': 'new',
  // Its answer ends when the test says so.
  'long.sh':
    '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\necho begun\nwhile [ ! -e done ]; do sleep 0.05; done\necho "$1"\n',
};

function config(port: number, listener: string, root: string): string {
  return `
stop_timeout = "60s"
[[listen]]
address = "127.0.0.1:${port}"
tls = { certificate = "board.pem", key = "board.key" }
${listener}
[static."/"]
root = "${root}"
[cgi."/long"]
command = ["./long.sh", "${root}"]
total_timeout = "5m"
[stream."/ticks"]
command = ["sh", "-c", "while :; do echo tick; sleep 0.1; done"]
share = "all"
[stream."/cat"]
command = ["cat"]
`;
}

async function reload(running: Running, text: string): Promise<void> {
  const isResult = (message: string): boolean => /^the configuration is (not )?reloaded/.test(message);
  const before = running.log.filter(({ message }) => isResult(message)).length;
  writeFileSync(join(running.folder, 'next.toml'), text);
  renameSync(join(running.folder, 'next.toml'), join(running.folder, 'runnel.toml'));
  running.process.kill('SIGHUP');
  await until(() => running.log.filter(({ message }) => isResult(message)).length > before, 'the reload');
  assert.equal(running.log.findLast(({ message }) => isResult(message))?.message, 'the configuration is reloaded');
}

/** What has come of an answer. */
function read(stream: ClientHttp2Stream): { text: string } {
  const got = { text: '' };
  stream.on('data', (bytes: Buffer) => {
    got.text += bytes.toString();
  });
  stream.on('error', () => undefined);
  return got;
}

interface Open {
  readonly session: ClientHttp2Session;
  readonly goaways: number[];
  readonly long: ClientHttp2Stream;
  readonly said: { text: string };
  readonly ticks: ClientHttp2Stream;
  readonly heard: { text: string };
  readonly socket: Http2Socket;
}

/** A session with a request, an event stream and a WebSocket under way. */
async function opened(port: number): Promise<Open> {
  const session = await openSession(port);
  const goaways: number[] = [];
  session.on('goaway', (code) => goaways.push(code));
  const headers = { ':authority': 'board.test' };
  const long = session.request({ ...headers, ':path': '/long' });
  const ticks = session.request({ ...headers, ':path': '/ticks', accept: 'text/event-stream' });
  const open = { session, goaways, long, said: read(long), ticks, heard: read(ticks) };
  const socket = await Http2Socket.open(session, '/cat');
  await until(() => open.said.text === 'begun\n' && open.heard.text.includes('tick'), 'what is under way');
  return { ...open, socket };
}

async function start(t: TestContext, listener: string): Promise<{ running: Running; port: number }> {
  const port = await freePort();
  return { running: await startGateway(t, { config: config(port, listener, 'old'), files: FILES }), port };
}

/** What ALPN agrees on. */
async function agreed(port: number): Promise<string | false | null> {
  const socket = await handshake(port, { ALPNProtocols: ['h2', 'http/1.1'] });
  const { alpnProtocol } = socket;
  socket.destroy();
  return alpnProtocol;
}

describe('HTTP/2: a reload while streams are open', { concurrency: true }, () => {
  test('of routes: the connection stays, and its next request gets the new ones', async (t) => {
    const { running, port } = await start(t, 'http2 = true');
    const { session, goaways, long, said, heard, socket } = await opened(port);
    await reload(running, config(port, 'http2 = true', 'new'));
    assert.equal((await ask2(session, { ':path': '/a.txt' })).body.toString(), 'new');
    writeFileSync(join(running.folder, 'done'), '');
    await until(() => long.destroyed, 'the end of the answer');
    // It is finished by the program that it began with.
    assert.deepEqual([said.text, long.rstCode], ['begun\nold\n', 0]);
    const { length } = heard.text;
    await until(() => heard.text.length > length, 'another tick');
    socket.send('still here');
    assert.deepEqual(await socket.first(1), ['still here']);
    assert.deepEqual(goaways, []);
    session.destroy();
    assert.equal(await running.stop(), 0);
  });

  for (const [what, listener, protocol] of [
    ['HTTP/2 is switched off', 'http2 = false', 'http/1.1'],
    ['the engine is another one', 'http2 = true\nengine = "node"', 'h2'],
  ] as const)
    test(`${what}: GOAWAY, what is under way is finished, new connections are of the new one`, async (t) => {
      const { running, port } = await start(t, 'http2 = true');
      const { session, goaways, long, said, ticks, heard, socket } = await opened(port);
      const idle = await openSession(port);
      await reload(running, config(port, listener, 'new'));
      await until(() => goaways.length > 0, 'the notice');
      await until(() => idle.destroyed, 'the end of the connection that waits for nothing');
      // uWebSockets.js does not answer ALPN: HTTP/1.1 it is.
      assert.equal((await agreed(port)) || 'http/1.1', protocol);
      assert.equal((await askSecurely(port, '/a.txt')).body, 'new');
      // Far beyond the time for which requests are still taken, everything that was there goes on.
      const { length } = heard.text;
      await until(() => heard.text.length > length + 200, 'more ticks');
      socket.send('still here');
      assert.deepEqual(await socket.first(1), ['still here']);
      writeFileSync(join(running.folder, 'done'), '');
      await until(() => long.destroyed, 'the end of the answer');
      assert.deepEqual([said.text, long.rstCode], ['begun\nold\n', 0]);
      assert(
        goaways.every((code) => code === 0),
        goaways.join(),
      );
      // With the last of them the connection is over.
      socket.close(1000);
      await until(() => socket.ended, 'the end of the WebSocket');
      assert.equal(session.destroyed, false);
      ticks.close();
      await until(() => session.destroyed, 'the end of the connection');
      assert.equal(await running.stop(), 0);
    });

  test('of certificates: the connection stays, a new one gets the new certificate', async (t) => {
    const { running, port } = await start(t, 'http2 = true');
    const { session, goaways, long, said } = await opened(port);
    const next = new Authority().server(['next.test']);
    writeFileSync(join(running.folder, 'board.key'), next.pem);
    writeFileSync(join(running.folder, 'board.pem'), next.certificate);
    await reload(running, config(port, 'http2 = true', 'old'));
    const other = await handshake(port, { ALPNProtocols: ['h2'] });
    assert.deepEqual([other.alpnProtocol, other.getPeerCertificate().subject.CN], ['h2', 'next.test']);
    writeFileSync(join(running.folder, 'done'), '');
    await until(() => long.destroyed, 'the end of the answer');
    assert.deepEqual([said.text, goaways], ['begun\nold\n', []]);
    for (const each of [session, other]) each.destroy();
    assert.equal(await running.stop(), 0);
  });
});
