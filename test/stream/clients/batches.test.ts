/** What is delivered together leaves together: one cork of the socket, one write of the response. Nothing waits for more to come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BodySink, Socket } from '../../../src/engine/engine.ts';
import { isSource } from '../../../src/engine/replies.ts';
import { Log } from '../../../src/ops/log.ts';
import { type Client, NO_CLIENT } from '../../../src/stream/clients/client.ts';
import { KeepAlive } from '../../../src/stream/clients/keepalive.ts';
import { acceptResponse, formed } from '../../../src/stream/clients/response.ts';
import { eventStream } from '../../../src/stream/clients/response-form.ts';
import { WebSocketClient } from '../../../src/stream/clients/websocket.ts';
import { framing } from '../../../src/stream/framing.ts';
import { Message } from '../../../src/stream/message.ts';
import { FramedSource } from '../../../src/stream/sources/framed.ts';
import { type FakeChannel, fakeChannel } from '../../support/fake-channel.ts';

const FACTS = { address: '192.0.2.1', query: '', user: undefined };
const INTERVAL = 30_000;

/** Tells which messages were sent within which cork. */
class FakeSocket implements Socket {
  readonly writes: string[][] = [];
  readonly bufferedAmount = 0;
  private corked: string[] | undefined;

  send(data: Uint8Array | string): boolean {
    const text = Buffer.from(data as string).toString();
    if (this.corked === undefined) this.writes.push([text]);
    else this.corked.push(text);
    return true;
  }

  lend(data: Uint8Array | string): boolean {
    return this.send(data);
  }

  batch(sends: () => void): void {
    this.corked = [];
    sends();
    this.writes.push(this.corked);
    this.corked = undefined;
  }

  ping(): void {}
  close(): void {}
  terminate(): void {}
  pause(): boolean {
    return false;
  }
  resume(): void {}
}

/** A source whose bytes come when the test says so. */
class FedSource extends FramedSource {
  pause(): void {}
  resume(): void {}
  release(): void {}
  feed(chunk: string): void {
    this.decode(Buffer.from(chunk));
  }
}

function webSocket({ channel }: FakeChannel): () => readonly string[][] {
  const socket = new FakeSocket();
  const owner = { delivered: () => undefined, resumed: () => undefined, stderrAsEvents: false };
  channel.join(new WebSocketClient(socket, false, INTERVAL, owner), undefined, FACTS);
  return () => socket.writes;
}

/** What each write of an event stream says. */
function eventStreamOf({ channel, counts }: FakeChannel): () => readonly string[][] {
  const writes: string[] = [];
  const log = new Log({ format: 'plain', level: 'error', colour: false, descriptor: 2 });
  const times = { pingInterval: INTERVAL, idleTimeout: undefined, maxLifetime: undefined };
  const keepAlive = new KeepAlive(times);
  let joined: Client | undefined;
  const { body } = acceptResponse(
    {
      log,
      counts,
      keepAlive,
      maxMessage: 1 << 20,
      binary: false,
      mixed: false,
      readOnly: undefined,
      stderrAsEvents: false,
    },
    formed(eventStream(false, INTERVAL), 'events'),
    'events',
    {
      ...NO_CLIENT,
      join(client) {
        joined = client;
        const member = channel.join(client, undefined, FACTS);
        return {
          message: () => undefined,
          drain: () => channel.clientDrain(member),
          close: (ending) => channel.close(member, ending),
          vanished: () => undefined,
          left: () => channel.leave(member),
        };
      },
    },
  );
  assert.ok(isSource(body));
  const sink: BodySink = {
    write(bytes) {
      writes.push(Buffer.from(bytes).toString());
      return true;
    },
    lend: () => assert.fail(),
    end: () => undefined,
    fail: () => undefined,
  };
  body.start(sink);
  assert.ok(joined !== undefined);
  writes.length = 0;
  return () => writes.map((text) => [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => data));
}

for (const [transport, open] of [
  ['WebSocket', webSocket],
  ['event stream', eventStreamOf],
] as const)
  test(`${transport}: a burst comes in order and whole, a write for each reading of the source; a single line is not held back`, async () => {
    const fake = await fakeChannel();
    const source = new FedSource({ framing: framing('lines'), maxMessage: 1 << 20 }, fake.channel, undefined);
    const writes = open(fake);
    const lines = Array.from({ length: 3000 }, (_, at) => `${at} ${'x'.repeat(at % 100)}`);
    const bytes = lines.map((line) => `${line}\n`).join('');
    // As a pipe gives them: 64 KiB at a time, and lines are cut anywhere.
    const chunks = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, at) =>
      bytes.slice(at * 65_536, (at + 1) * 65_536),
    );
    assert.ok(chunks.length > 2);
    for (const chunk of chunks) source.feed(chunk);
    assert.equal(writes().length, chunks.length);
    assert.deepEqual(writes().flat(), lines);
    // Written before the call returns: no timer, and no later turn.
    source.feed('alone\n');
    assert.deepEqual(writes().slice(chunks.length), [['alone']]);
    fake.channel.finish({ code: 1000, reason: '' });
  });

function messages(...texts: readonly string[]): readonly Message[] {
  return texts.map((text, at) => new Message(Buffer.from(text), false, String(at + 1), at + 1));
}

test('a WebSocket gets a batch in one write, in its order; a single message without the detour', () => {
  const socket = new FakeSocket();
  const client = new WebSocketClient(socket, false, 30_000, {
    delivered: () => undefined,
    resumed: () => undefined,
    stderrAsEvents: false,
  });
  assert.equal(client.deliver(messages('a', 'b', 'c'), 'stdout'), true);
  assert.equal(client.deliver(messages('d'), 'stdout'), true);
  assert.deepEqual(socket.writes, [['a', 'b', 'c'], ['d']]);
});
