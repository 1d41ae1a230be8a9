/** The memory of many HTTP/2 requests, through the whole gateway: after a while as much is taken after three times as many. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Authority } from '../../../support/certificates.ts';
import { startGateway } from '../../../support/gateway.ts';
import { ask2, openSession } from '../../../support/http2.ts';
import { Http2Socket } from '../../../support/http2-socket.ts';
import { memoryOf, until } from '../../../support/processes.ts';

const WINDOWS = 4;
const CONNECTIONS = 30;
const REQUESTS = 100;
const AT_ONCE = 20;

test(`${WINDOWS} windows of ${CONNECTIONS * REQUESTS} requests each: memory does not go on growing`, async (t) => {
  const { certificate, pem } = new Authority().server(['board.test']);
  const running = await startGateway(t, {
    // A small heap, so that what V8 keeps for later does not look like a leak.
    env: { NODE_OPTIONS: '--max-semi-space-size=1 --max-old-space-size=40' },
    config: `
[[listen]]
address = "127.0.0.1:0"
tls = { certificate = "board.pem", key = "board.key" }
http2 = true
[static."/"]
root = "www"
[stream."/cat"]
command = ["cat"]
share = "all"
[connections]
requests_per_second = 100000
request_burst = 100000
[log]
requests = false
`,
    files: { 'www/a.txt': 'a'.repeat(20_000), 'board.pem': certificate, 'board.key': pem },
  });
  /** Pages, bodies, refusals, answers that are taken back, event streams and WebSockets. */
  const visit = async (): Promise<void> => {
    const session = await openSession(running.port);
    const socket = await Http2Socket.open(session, '/cat');
    const events = session.request({ ':path': '/cat', ':authority': 'board.test', accept: 'text/event-stream' });
    events.on('error', () => undefined).resume();
    let at = 0;
    const loop = async (): Promise<void> => {
      while (at++ < REQUESTS) {
        if (at % 10 === 0) assert.equal((await ask2(session, { ':path': '/nothing' })).status, 404);
        else if (at % 10 === 5) {
          const taken = session.request({ ':path': '/a.txt', ':authority': 'board.test' }).on('error', () => undefined);
          taken.close(8);
        } else if (at % 10 === 7)
          assert.equal((await ask2(session, { ':method': 'POST', ':path': '/cat' }, 'a message')).status, 202);
        else assert.equal((await ask2(session, { ':path': '/a.txt' })).body.length, 20_000);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, loop));
    socket.close(1000);
    await until('the end of the WebSocket', () => socket.ended);
    session.destroy();
  };
  const windows: number[] = [];
  for (let window = 0; window < WINDOWS; window++) {
    for (let at = 0; at < CONNECTIONS; at++) await visit();
    windows.push(memoryOf(running.pid, 'RssAnon'));
  }
  t.diagnostic(`KiB after each window: ${windows.join(', ')}`);
  const [, early = 0, , late = 0] = windows;
  assert(late - early < 6000, `grew from ${early} to ${late} KiB`);
  assert.deepEqual(
    running.log.filter(({ level }) => level !== 'info'),
    [],
  );
  assert.equal(await running.stop(), 0);
});
