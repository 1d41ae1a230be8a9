/** Upstreams that are none, or send what nobody can want: viewers are told in a few words, memory stays, and it is tried again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventClient } from '../../../support/event-stream.ts';
import { memoryOf, until } from '../../../support/processes.ts';
import { rawServer } from '../../../support/raw-server.ts';
import { failing, startSubscribed } from '../../../support/subscribed.ts';

const head = (type: string, more = ''): string => `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n${more}\r\n`;
const EVENTS = head('text/event-stream');
const MEBIBYTE = 'x'.repeat(1 << 20);

interface Bad {
  readonly name: string;
  readonly answer: () => readonly string[];
  readonly keys?: string;
  readonly told: RegExp;
  readonly outcome?: string;
}

const CASES: readonly Bad[] = [
  { name: 'a header of 1 MB', answer: () => [`HTTP/1.1 200 OK\r\nX: ${MEBIBYTE}\r\n\r\n`], told: /the head of its response is too large/, outcome: 'invalid' },
  { name: 'a redirect', answer: () => ['HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n'], told: /it answers with a redirect \(302\), which is not followed/, outcome: 'status' },
  { name: 'a page', answer: () => [`${head('text/html; charset=utf-8')}<html>`], told: /it answers with text\/html instead of an event stream/, outcome: 'type' },
  { name: 'nothing that says what it is', answer: () => ['HTTP/1.1 200 OK\r\n\r\nhello'], told: /it answers with content without a type instead/ },
  { name: 'parts without a boundary', answer: () => [`${head('multipart/x-mixed-replace')}--a`], told: /it answers with multipart\/x-mixed-replace instead/ },
  { name: 'a compressed stream', answer: () => [head('text/event-stream', 'Content-Encoding: gzip\r\n')], told: /its response is compressed/ },
  { name: 'an error', answer: () => ['HTTP/1.0 500 No\r\n\r\nno'], told: /it answers with an error \(500\)/ },
  { name: 'no HTTP', answer: () => ['SSH-2.0-OpenSSH_9.2\r\n'], told: /what it answers is not HTTP/, outcome: 'invalid' },
  { name: 'nothing', answer: () => [], told: /it closed the connection too early/, outcome: 'closed' },
  { name: '100 MB without a newline, as lines', keys: 'framing = "lines"', answer: () => [head('text/plain'), ...Array(100).fill(MEBIBYTE)], told: /line over max_message \(65536 bytes\)/, outcome: 'invalid' },
  { name: 'a boundary that never comes', answer: () => [head('multipart/x-mixed-replace; boundary=x'), ...Array(80).fill(MEBIBYTE)], told: /its parts have no boundary/ },
  { name: 'a WebSocket handshake that is none', keys: 'ws', answer: () => ['HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n'], told: /wrong Sec-WebSocket-Accept/ },
  { name: 'a page where a WebSocket should be', keys: 'ws', answer: () => [`${head('text/html', 'Content-Length: 2\r\n')}hi`], told: /it does not speak WebSocket there \(200\)/ },
]; // biome-ignore format: a table

test('what is no stream is told in a few words, and tried again', async (t) => {
  const asked = new Map<string, number>();
  const streams: Record<string, string> = {};
  for (const [at, { name, answer, keys = '' }] of CASES.entries()) {
    const port = await rawServer(t, () => {
      asked.set(name, (asked.get(name) ?? 0) + 1);
      return answer();
    });
    const scheme = keys === 'ws' ? 'ws' : 'http';
    streams[`/${at}`] = `subscribe = "${scheme}://127.0.0.1:${port}/"\n${keys === 'ws' ? '' : keys}`;
  }
  const running = await startSubscribed(t, streams, {}, '[admin]\nlisten = "127.0.0.1:0"\n');
  for (const [at, { name, told, outcome }] of CASES.entries()) {
    const viewer = await EventClient.open(running.port, `/${at}`);
    const [notice = ''] = await viewer.first(1, 'notice');
    assert.match(notice, told, name);
    await until(`${name}: it is tried again`, () => (asked.get(name) ?? 0) > 2);
    assert.equal(viewer.all('notice').filter((text) => told.test(text)).length >= 1, true);
    assert.deepEqual(viewer.all(), [], name);
    viewer.close();
    if (outcome === undefined) continue;
    const metrics = await (await fetch(`http://127.0.0.1:${running.ports.at(-1)}/metrics`)).text();
    assert.match(metrics, new RegExp(`^runnel_(connects|subscriptions_ended)_total\\{route="/${at}",(outcome|reason)="${outcome}"\\}`, 'm'), name); // biome-ignore format: one line
  }
  assert.equal(await running.stop(), 0);
});

test('what is too large is left out and counted, the rest goes on, and memory stays', async (t) => {
  const large = Array<string>(50).fill(MEBIBYTE);
  const events = await rawServer(t, () => [EVENTS, 'id: 1\ndata: ', MEBIBYTE, '\n\ndata: b\n\n', 'data: ', ...large, ...large, '\n\ndata: c\n\n'], () => true); // biome-ignore format: one line
  const part = 'Content-Type: text/plain\r\n';
  const parts = await rawServer(
    t,
    () => [head('multipart/x-mixed-replace;boundary=x'), `--x\r\n${part}Content-Length: ${50 << 20}\r\n\r\n`, ...large, `\r\n--x\r\n${part}\r\nb\r\n--x\r\n${part}\r\n`, ...large, `\r\n--x\r\n${part}\r\nc\r\n--x\r\n`],
    () => true,
  ); // biome-ignore format: one line
  const running = await startSubscribed(
    t,
    { '/events': `subscribe = "http://127.0.0.1:${events}/"`, '/parts': `subscribe = "http://127.0.0.1:${parts}/"` },
    {},
    '[admin]\nlisten = "127.0.0.1:0"\n',
  );
  for (const path of ['/events', '/parts']) {
    const viewer = await EventClient.open(running.port, path);
    const before = memoryOf(running.pid, 'RssAnon');
    assert.deepEqual(await viewer.first(2), ['b', 'c']);
    const grown = memoryOf(running.pid, 'RssAnon') - before;
    assert.ok(grown < 40 << 10, `${path}: ${grown} KiB more`);
    assert.deepEqual(viewer.all('notice'), []);
    viewer.close();
    const metrics = await (await fetch(`http://127.0.0.1:${running.ports.at(-1)}/metrics`)).text();
    assert.match(metrics, new RegExp(`^runnel_dropped_total\\{route="${path}",reason="too_large"\\} 2$`, 'm'));
  }
  assert.equal(await running.stop(), 0);
});

test('Retry-After is obeyed, and what is refused for ever is asked less and less often', async (t) => {
  let asked = 0;
  const busy = await rawServer(t, () => {
    asked++;
    return ['HTTP/1.1 429 Slow\r\nRetry-After: 3600\r\n\r\n'];
  });
  const running = await startSubscribed(t, { '/busy': `subscribe = "http://127.0.0.1:${busy}/"` });
  const viewer = await EventClient.open(running.port, '/busy');
  assert.deepEqual(await viewer.first(1, 'notice'), [failing('it answers with an error (429)')]);
  const line = await running.logged(({ message }) => message === 'a subscribed source fails');
  assert.equal(line['ms'], 3_600_000);
  assert.equal(asked, 1);
  viewer.close();
  assert.equal(await running.stop(), 0);
});
