/** The recipes of docs/sources.md, before upstreams of the test's own. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import WebSocket from 'ws';
import { CAMERAS, fakePicture, startCamera } from '../../../support/cameras.ts';
import { ask } from '../../../support/client.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { type Running, startGateway } from '../../../support/gateway.ts';
import { startPeer } from '../../../support/peer.ts';
import { until } from '../../../support/processes.ts';
import { LISTEN } from '../../../support/subscribed.ts';
import { httpUpstream } from '../../../support/upstream.ts';

const PAGE = readFileSync('docs/sources.md', 'utf8');

/** The configuration below a heading, with another address. */
function recipe(heading: string, written: string, port: number): string {
  const section = PAGE.split(/^###? /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const toml = /```toml\n(.*?)```/s.exec(section)?.[1] ?? '';
  assert.ok(toml.includes(written), `${heading}: ${written}`);
  return toml.replaceAll(written, `127.0.0.1:${port}`);
}

const startRecipe = (t: TestContext, toml: string): Promise<Running> =>
  startGateway(t, { config: `${LISTEN}${toml}`, files: { 'plug.login': 'ann:pass\n', 'camera.login': 'ann:pass\n' } });

test('the first example', async (t) => {
  const upstream = await httpUpstream(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('event: log\ndata: no\n\nevent: state\ndata: on\n\n');
  });
  const running = await startRecipe(t, recipe('subscribe', 'plug.lan', upstream.port));
  const viewer = await EventClient.open(running.port, '/live/plug');
  assert.deepEqual(await viewer.first(1), ['on']);
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('a serial line', async (t) => {
  let written = '';
  const { port } = await startPeer(t, (socket) => {
    socket.write('21.5 C\r\n');
    socket.on('data', (chunk: Buffer) => {
      written += chunk.toString();
    });
  });
  const running = await startRecipe(t, recipe('A serial line', '127.0.0.1:4001', port));
  const viewer = await EventClient.open(running.port, '/serial');
  assert.deepEqual(await viewer.first(1), ['21.5 C']);
  await ask(running.port, '/serial', { method: 'POST', body: 'led on' });
  await until('it is written', () => written === 'led on\n');
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('ESPHome, as its web_server writes events', async (t) => {
  const upstream = await httpUpstream(t, (request, response) => {
    if (request.method === 'POST') {
      response.writeHead(200).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'keep-alive' });
    response.write('retry: 30000\r\nid: 1042\r\nevent: ping\r\ndata: {"title":"esp","comment":"","ota":true}\r\n\r\n');
    response.write('event: log\r\ndata: \x1b[0;36m[D][sensor:093]: Sending state 21.5\x1b[0m\r\n\r\n');
    response.write('event: state\r\ndata: {"id":"sensor-room","state":"21.5 °C","value":21.5}\r\n\r\n');
  });
  const running = await startRecipe(t, recipe('ESPHome', 'esp.lan', upstream.port));
  const viewer = await EventClient.open(running.port, '/live/esp');
  assert.deepEqual(await viewer.first(1), ['{"id":"sensor-room","state":"21.5 °C","value":21.5}']);
  assert.equal((await ask(running.port, '/live/esp', { method: 'POST', body: '' })).status, 200);
  assert.deepEqual(
    upstream.asked.map(({ method, url }) => `${method} ${url}`),
    ['GET /events', 'POST /switch/relay/toggle'],
  );
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('a plug with a password', async (t) => {
  const upstream = await httpUpstream(t, (request, response) => {
    if (request.headers.authorization === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Digest realm="plug", qop="auth", nonce="1", algorithm=SHA-256' });
      response.end();
    } else if (request.method === 'POST') response.writeHead(200).end('{"was_on":true}');
    else {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: switch:0\nid: 3\ndata: {"output":true}\n\n');
    }
  });
  const running = await startRecipe(t, recipe('A plug with an event stream and a password', 'plug.lan', upstream.port));
  const viewer = await EventClient.open(running.port, '/live/plug');
  const [event = ''] = await viewer.first(1);
  assert.deepEqual(JSON.parse(event), { event: 'switch:0', data: '{"output":true}', id: '3' });
  const posted = await ask(running.port, '/live/plug', { method: 'POST', body: '{"method":"Switch.Toggle"}' });
  assert.equal(posted.body, '{"was_on":true}');
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('a camera', async (t) => {
  const pictures = [fakePicture(1, 200_000), fakePicture(2, 200_000)];
  const [habits] = CAMERAS.values();
  assert.ok(habits !== undefined);
  const port = await startCamera(t, habits, pictures, 10_000);
  const running = await startRecipe(t, recipe('A camera', 'camera.lan', port));
  const got: Buffer[] = [];
  const viewer = new WebSocket(`ws://127.0.0.1:${running.port}/cam`);
  viewer.on('message', (data: Buffer) => got.push(data));
  await once(viewer, 'open');
  await until('the last picture is there', () => got.at(-1)?.equals(pictures[1] ?? Buffer.alloc(0)) === true);
  viewer.terminate();
  assert.equal(await running.stop(), 0);
});
