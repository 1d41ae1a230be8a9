import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, TestSocket } from '../../support/client.ts';
import { startGateway } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

test('the admin listener shows what was counted', async (t) => {
  const running = await startGateway(t, {
    config: `
[[listen]]
address = "127.0.0.1:0"
[static."/"]
root = "www"
[stream."/cat"]
command = ["cat"]
[admin]
listen = "127.0.0.1:0"
`,
    files: { 'www/index.html': 'hello' },
  });
  const adminPort = running.ports[1] ?? 0;
  assert.deepEqual((await ask(adminPort, '/healthz')).body, 'ok\n');
  await ask(running.port, '/');
  await ask(running.port, '/gone');
  await ask(running.port, '/', { method: 'PURGE' });
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/cat`);
  socket.ws.send('hello');
  await socket.first(1);

  const metrics = async (): Promise<string> => (await ask(adminPort, '/metrics')).body;
  const text = await metrics();
  for (const line of [
    'runnel_http_requests_total{route="/",method="GET",code="200"} 1',
    'runnel_http_requests_total{route="/",method="GET",code="404"} 1',
    'runnel_http_requests_total{route="/",method="other",code="405"} 1',
    'runnel_http_requests_total{route="/cat",method="GET",code="101"} 1',
    'runnel_stream_clients{route="/cat"} 1',
    'runnel_stream_clients_joined_total{route="/cat",transport="websocket"} 1',
    'runnel_stream_messages_total{route="/cat",direction="in"} 1',
    'runnel_stream_messages_total{route="/cat",direction="out"} 1',
    'runnel_stream_message_bytes_total{route="/cat",direction="out"} 5',
    'runnel_processes{route="/cat"} 1',
    'runnel_processes_started_total{route="/cat"} 1',
  ]) {
    assert.ok(text.includes(`${line}\n`), `${line}\nis not in\n${text}`);
  }
  for (const name of ['process_resident_memory_bytes', 'nodejs_eventloop_lag_seconds', 'runnel_build_info'])
    assert.match(text, new RegExp(`^${name}`, 'm'));

  // Scraping is no traffic that adds to the text.
  const lines = (all: string): readonly string[] => all.split('\n').map((line) => line.replace(/ [^ ]+$/, ''));
  const second = lines(await metrics());
  for (let scrape = 0; scrape < 50; scrape++) await metrics();
  assert.deepEqual(lines(await metrics()), second);

  socket.ws.close();
  await socket.closed;
  await until('its end is counted', async () =>
    /runnel_processes_ended_total\{route="\/cat",reason="ended"\} 1/.test(await metrics()),
  );
  assert.match(await metrics(), /runnel_stream_clients\{route="\/cat"\} 0/);
  assert.equal((await ask(running.port, '/metrics')).status, 404, 'not on the public listener');
  assert.equal(await running.stop(), 0);
});

test('one log line a request, in JSON when nobody looks', async (t) => {
  const running = await startGateway(t, {
    config: '[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "www"\n',
    files: { 'www/index.html': 'hello' },
  });
  await ask(running.port, '/?q=1');
  const line = await running.logged((entry) => entry.message === 'GET /?q=1');
  assert.equal(line['status'], 200);
  assert.equal(line['bytes'], 5);
  assert.equal(line['route'], '/');
  assert.equal(line['client'], '127.0.0.1');
  assert.equal(await running.stop(), 0);
});
