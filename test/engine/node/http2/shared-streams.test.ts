/** A shared stream as WebSockets over HTTP/2 (RFC 8441), through the whole gateway: two viewers, on one connection and on two. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Authority } from '../../../support/certificates.ts';
import { type Running, startGateway } from '../../../support/gateway.ts';
import { openSession } from '../../../support/http2.ts';
import { Http2Socket } from '../../../support/http2-socket.ts';
import { until } from '../../../support/until.ts';

const STREAM = (options: string): string => `
stop_timeout = "2s"
[[listen]]
address = "127.0.0.1:0"
tls = { certificate = "board.pem", key = "board.key" }
http2 = true
[stream."/live"]
command = ["./live.sh"]
share = "all"
history = 10
${options}`;
/** Says back what it hears, until it is to end. */
const LIVE =
  '#!/bin/sh\necho hello\nwhile read -r line; do case "$line" in end0) exit 0;; end3) exit 3;; *) echo "$line";; esac; done\n';
const { certificate, pem } = new Authority().server(['board.test']);

async function start(t: TestContext, options = 'restart = "never"\n'): Promise<Running> {
  return await startGateway(t, {
    config: STREAM(options),
    files: { 'live.sh': LIVE, 'board.pem': certificate, 'board.key': pem },
  });
}

/** The messages with an id, as `?after=` has them. */
function texts(socket: Http2Socket): readonly string[] {
  return socket.messages.filter((message) => message.startsWith('id:')).map((message) => message.replace(/^.*\n/, ''));
}

function lastId(socket: Http2Socket): string {
  return /^id:(.*)\n/.exec(socket.messages.findLast((message) => message.startsWith('id:')) ?? '')?.[1] ?? '';
}

describe('HTTP/2: a shared stream as WebSockets', { concurrency: true }, () => {
  for (const connections of [1, 2])
    test(`two viewers on ${connections} connections: each gets all, one leaves and resumes`, async (t) => {
      const { port } = await start(t);
      const first = await openSession(port);
      const second = connections === 1 ? first : await openSession(port);
      const one = await Http2Socket.open(first, '/live?after=');
      await until(() => texts(one).length === 1, 'the first message');
      const two = await Http2Socket.open(second, '/live?after=');
      two.send('from two');
      one.send('from one');
      for (const viewer of [one, two]) await until(() => texts(viewer).length === 3, 'what both have said');
      assert.deepEqual(texts(one), texts(two));
      assert.deepEqual([texts(one)[0], [...texts(one)].sort()], ['hello', ['from one', 'from two', 'hello']]);

      const id = lastId(two);
      two.close(1000);
      await until(() => two.ended, 'the end of the stream');
      assert.deepEqual([two.code, two.stream.rstCode], [1000, 0]);
      for (let at = 0; at < 5; at++) one.send(`meanwhile ${at}`);
      await until(() => texts(one).length === 8, 'what is said meanwhile');
      const again = await Http2Socket.open(second, `/live?after=${id}`);
      await until(() => texts(again).length === 5, 'what was missed');
      assert.deepEqual(
        texts(again),
        Array.from({ length: 5 }, (_, at) => `meanwhile ${at}`),
      );
      again.send('here again');
      for (const viewer of [one, again]) await until(() => texts(viewer).at(-1) === 'here again', 'the next message');
      first.destroy();
      second.destroy();
    });

  for (const [status, code, reason] of [
    [0, 1000, 'exit 0'],
    [3, 1011, 'exit 3'],
  ] as const)
    test(`the program ends with ${status}: every viewer reads ${code}`, async (t) => {
      const { port } = await start(t);
      const session = await openSession(port);
      const other = await openSession(port);
      const viewers = [await Http2Socket.open(session, '/live'), await Http2Socket.open(other, '/live?after=')];
      for (const viewer of viewers) await until(() => viewer.messages.length > 0, 'a first message');
      viewers[0]?.send(`end${status}`);
      for (const viewer of viewers) {
        await until(() => viewer.ended, 'the end of the stream');
        assert.deepEqual([viewer.code, viewer.reason, viewer.stream.rstCode], [code, reason, 0]);
      }
      // Their connections stay.
      assert.equal(session.destroyed || other.destroyed, false);
      session.destroy();
      other.destroy();
    });

  test('a stream that a reload changes: 1001, and the connection goes on with the new one', async (t) => {
    const running = await start(t);
    const session = await openSession(running.port);
    const viewers = [await Http2Socket.open(session, '/live'), await Http2Socket.open(session, '/live')];
    for (const viewer of viewers) await viewer.first(1);
    writeFileSync(join(running.folder, 'runnel.toml'), STREAM('restart = "never"\nidle_stop = "1s"\n'));
    running.process.kill('SIGHUP');
    for (const viewer of viewers) {
      await until(() => viewer.ended, 'the end of the stream');
      assert.deepEqual([viewer.code, viewer.reason], [1001, 'the configuration has changed']);
    }
    const again = await Http2Socket.open(session, '/live');
    assert.deepEqual(await again.first(1), ['hello']);
    session.destroy();
  });

  test('a stop: 1001, GOAWAY, and nothing is left', async (t) => {
    const running = await start(t);
    const session = await openSession(running.port);
    let goaway: number | undefined;
    session.on('goaway', (code) => {
      goaway = code;
    });
    const viewer = await Http2Socket.open(session, '/live');
    await viewer.first(1);
    assert.equal(await running.stop(), 0);
    await until(() => session.destroyed, 'the end of the connection');
    assert.deepEqual([viewer.code, goaway], [1001, 0]);
  });

  test('a handshake that is refused: its status, and the others go on', async (t) => {
    const { port } = await start(t);
    const session = await openSession(port);
    const viewer = await Http2Socket.open(session, '/live');
    await viewer.first(1);
    assert.equal((await Http2Socket.open(session, '/nothing')).status, 404);
    viewer.send('still here');
    assert.deepEqual(await viewer.first(2), ['hello', 'still here']);
    session.destroy();
  });
});
