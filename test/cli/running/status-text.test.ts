/** The text of `runnel status`, and what it does about an answer that is none. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { statusText } from '../../../src/cli/running/status-text.ts';
import type { GatewayStatus, StreamStatus } from '../../../src/ops/status.ts';
import { folderWith, runnel } from '../../support/gateway.ts';
import { emptyStatus } from '../../support/gateway-status.ts';

const STREAM: StreamStatus = {
  ...{ key: '/live', source: 'command', share: 'all', viewers: 0, transports: {}, behind: 0, backlog: 0 },
  ...{ channels: [], channelCount: 0, messagesIn: 0, messagesOut: 0, bytesOut: 0, dropped: {} },
};
const CHANNEL = {
  ...{ id: '0', name: '', restarts: 0, viewers: 0, kept: 0, keptBytes: 0, last: [], clients: [] },
  source: { state: 'running' as const },
};
const ROUTE = {
  ...{ key: '/', kind: 'static', requests: 0, statuses: {}, rate: 0, aborted: 0, bytesIn: 0, bytesOut: 0, refused: {} },
};
const LISTENER = {
  ...{ name: ':80', url: 'http://localhost:80/', engine: 'auto', secure: false, admin: false, connections: 0 },
  ...{ refused: 0, down: false, certificates: [] },
};
const CERTIFICATE = { title: 'board', names: [], notAfter: 0, daysLeft: 3, fingerprint: '' };

for (const [what, change, expected] of [
  ['ready', {}, /^runnel 1\.2\.3 {2}ready {2}up 1 min 5 s {2}process 7\n/],
  ['not ready', { ready: false, notReady: ['a\x1b[2J'] }, /not ready .*\n {2}a\\u001b\[2J\n/],
  ['a day', { started: 65_000 - 90_061_000 }, /up 1 d 1 h /],
  ['memory', { memory: { resident: 1_500_000, heap: 0, limit: 64 << 20 } }, /memory {4}1\.4 MiB of 64\.0 MiB/],
  ['no file', { configuration: { file: undefined, loaded: 0, reload: undefined } }, /process 7\nmemory/],
  [
    'a reload that failed',
    { configuration: { file: 'r.toml', loaded: 0, reload: { ok: false, time: 0, why: 'line 3' } } },
    /file {6}r\.toml, reload failed 1 min 5 s ago: line 3/,
  ],
  ['a stream that nobody watches', { streams: [STREAM] }, /\/live +command +idle +0 +0\n/],
  [
    'viewers, and what waits',
    { streams: [{ ...STREAM, viewers: 2, transports: { sse: 2 }, behind: 1, backlog: 2048, dropped: { slow: 3 } }] },
    /2 \(2 sse\) +0 +1, 2\.0 KiB +3 slow/,
  ],
  [
    'restarts',
    { streams: [{ ...STREAM, channelCount: 1, channels: [{ ...CHANNEL, restarts: 4 }] }] },
    /running, 4 restarts/,
  ],
  ['channels', { streams: [{ ...STREAM, channelCount: 30, channels: [CHANNEL, CHANNEL] }] }, /30 channels/],
  ['no route', { routes: [{ ...ROUTE, key: '-', statuses: { '5xx': 2 } }] }, /\(no route\) .* 2\n/],
  ['a listener that is down', { listeners: [{ ...LISTENER, down: true }] }, /DOWN for maintenance/],
  ['a certificate', { listeners: [{ ...LISTENER, certificates: [CERTIFICATE] }] }, /board 3 d left/],
  [
    'one that has expired',
    { listeners: [{ ...LISTENER, certificates: [{ ...CERTIFICATE, daysLeft: -1 }] }] },
    /board EXPIRED/,
  ],
  [
    'a failure',
    { failures: [{ route: '/c\x07', pid: 1, time: 5000, how: 'exit 3', words: ['\x9bm'] }] },
    /1 min ago {2}\/c\\u0007 failed: exit 3; \\u009bm/,
  ],
  ['more rows than are shown', { routes: Array.from({ length: 50 }, () => ROUTE) }, /\nand 10 more\n/],
] satisfies readonly (readonly [string, Partial<GatewayStatus>, RegExp])[])
  test(`the text: ${what}`, () => {
    const text = statusText({ ...emptyStatus(), ...change }, { colour: false, width: 200 });
    assert.match(text, expected);
    assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  });

test('no line is longer than the terminal, and colours take no room', () => {
  const status = { ...emptyStatus(), routes: [{ ...ROUTE, key: `/${'long'.repeat(50)}` }] };
  const plain = statusText(status, { colour: false, width: 40 });
  assert.ok(plain.split('\n').every(({ length }) => length <= 40));
  const coloured = statusText(status, { colour: true, width: 40 });
  assert.match(coloured, /\x1b\[1mrunnel 1\.2\.3\x1b\[0m/);
  assert.ok(coloured.split('\n').every((line) => line.replaceAll(/\x1b\[\d*m/g, '').length <= 40));
});

test('who answers and is no gateway, or one of another version, is told in a sentence', async (t) => {
  let body = '';
  const server = createServer((_request, response) => response.end(body)).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const folder = folderWith(t, { 'runnel.toml': `[admin]\nlisten = "127.0.0.1:${port}"\n` });
  for (const [answer, expected] of [
    ['<html>', /does not answer as a runnel with a status/],
    ['{}', /does not answer as a runnel with a status/],
    [
      '{"ready":true,"listeners":[],"version":"9\\u001b[2J"}',
      /cannot show the status of runnel 9\\u001b\[2J; --json prints it/,
    ],
    ['{"ready":true,"listeners":{}}', /cannot show the status of runnel/],
  ] as const) {
    body = answer;
    const { code, stdout, stderr } = await runnel(['status'], folder);
    assert.deepEqual([code, stdout], [1, ''], answer);
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /\x1b/);
  }
  assert.equal((await runnel(['status', '-q'], folder)).code, 0, 'whether it is ready it says all the same');
});
