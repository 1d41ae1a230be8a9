/** Requests for which there is no room: what the log says, how often, and what counts them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BusyLog } from '../../../src/http/call/busy-log.ts';
import { ask, TestSocket } from '../../support/client.ts';
import { startGateway } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

test('the first is told at once, the others with their number, each route and bound by itself', async () => {
  const lines: string[] = [];
  const log = new BusyLog(
    {
      warn: (message, fields = {}) => lines.push(`${message} ${fields['route']} ${fields['id'] ?? fields['refused']}`),
    },
    20,
  );
  log.refused('/a', 'full', 'one');
  for (const id of ['two', 'three', 'four']) log.refused('/a', 'full', id);
  log.refused('/b', 'full', 'five');
  for (const id of ['six', 'seven']) log.refused('/b', `late by ${id.length} ms`, id);
  assert.deepEqual(lines, ['full /a one', 'full /b five', 'late by 3 ms /b six']);
  // The timer of the log keeps no process alive.
  const waiting = setInterval(() => undefined, 1000);
  await until('the numbers are told', () => lines.length === 5);
  assert.deepEqual(lines.slice(3), ['full /a 3', 'late by 5 ms /b 1']);
  clearInterval(waiting);
});

test('clients beyond max_clients are a warning, counted, and their lines say why', async (t) => {
  const config = `[[listen]]\naddress = "127.0.0.1:0"\n[stream."/s"]\ncommand = ["cat"]\nshare = "all"\nmax_clients = 1\n[admin]\nlisten = "127.0.0.1:0"\n`;
  const running = await startGateway(t, { config });
  const viewer = await TestSocket.open(`ws://127.0.0.1:${running.port}/s`);
  for (let at = 0; at < 3; at++) {
    const refused = await ask(running.port, '/s', { headers: { accept: 'text/event-stream' } });
    assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '5']);
  }
  const warning = await running.logged(({ level }) => level === 'warn');
  assert.match(warning.message, /this stream has 1 clients already \(max_clients\)/);
  assert.equal(warning['route'], '/s');
  await until('each has its line', () => running.log.filter(({ status }) => status === 503).length === 3);
  assert.ok(running.log.filter(({ status }) => status === 503).every(({ because }) => because === warning.message));
  assert.deepEqual(
    running.log.filter(({ level }) => level === 'warn' || level === 'error'),
    [warning],
  );
  const metrics = await ask(running.ports.at(-1) ?? 0, '/metrics');
  assert.match(metrics.body, /^runnel_busy_total\{route="\/s",reason="limit"\} 3$/m);
  viewer.ws.close();
});
