import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Socket, SocketHandlers } from '../../src/engine/engine.ts';
import { MessageLimits, senderOf } from '../../src/policy/messages.ts';

function trial(messages: number, bytes: number) {
  let now = 0;
  let received = 0;
  let pings = 0;
  let pongs = 0;
  let exceeded = 0;
  const closes: number[] = [];
  const handlers: SocketHandlers = {
    open: () => undefined,
    message: () => received++,
    drain: () => undefined,
    pong: () => pongs++,
    ping: () => pings++,
    close: () => undefined,
  };
  const socket: Socket = {
    send: () => true,
    lend: () => true,
    batch: (sends) => sends(),
    bufferedAmount: 0,
    ping: () => undefined,
    close: (code) => closes.push(code),
    terminate: () => undefined,
    pause: () => true,
    resume: () => undefined,
  };
  const limits = { messages_per_second: messages, message_bytes_per_second: bytes };
  const limited = new MessageLimits(limits).around(
    handlers,
    () => exceeded++,
    () => now,
  );
  limited.open(socket);
  return {
    send(count: number, size = 1) {
      for (let sent = 0; sent < count; sent++) limited.message(Buffer.alloc(size), false);
    },
    ping(count: number) {
      for (let sent = 0; sent < count; sent++) limited.ping(0);
      return pings;
    },
    pong(count: number) {
      for (let sent = 0; sent < count; sent++) limited.pong();
      return pongs;
    },
    wait(milliseconds: number) {
      now += milliseconds;
    },
    result: () => ({ received, exceeded, closes }),
  };
}

describe('messages of one client', () => {
  test("a second's worth at once, then at that pace", () => {
    const client = trial(10, 0);
    client.send(10);
    client.wait(500);
    client.send(5);
    assert.deepEqual(client.result(), { received: 15, exceeded: 0, closes: [] });
  });
  test('pings count as messages do', () => {
    const client = trial(10, 0);
    client.send(5);
    assert.equal(client.ping(5), 5);
    assert.deepEqual(client.result(), { received: 5, exceeded: 0, closes: [] });
    assert.equal(client.ping(5), 5);
    assert.deepEqual(client.result(), { received: 5, exceeded: 1, closes: [1008] });
  });
  test('pongs that nobody asked for have the same limit, and take nothing from messages', () => {
    const client = trial(10, 0);
    assert.equal(client.pong(10), 10);
    client.send(10);
    assert.deepEqual(client.result(), { received: 10, exceeded: 0, closes: [] });
    assert.equal(client.pong(5), 10);
    assert.deepEqual(client.result(), { received: 10, exceeded: 1, closes: [1008] });
  });
  test('one too many closes with 1008, once, and nothing more is handed on', () => {
    const client = trial(10, 0);
    client.send(20);
    client.wait(10_000);
    client.send(1);
    assert.deepEqual(client.result(), { received: 10, exceeded: 1, closes: [1008] });
  });
  test('bytes, whatever the number of messages', () => {
    const client = trial(0, 1000);
    client.send(2, 500);
    client.wait(500);
    client.send(1, 501);
    assert.deepEqual(client.result(), { received: 2, exceeded: 1, closes: [1008] });
  });
  test("a message that is larger than a second's worth passes, and is paid for afterwards", () => {
    const client = trial(0, 1000);
    client.send(1, 3000);
    client.wait(1000);
    client.send(1, 1);
    assert.deepEqual(client.result(), { received: 1, exceeded: 1, closes: [1008] });
  });
  test('without limits the handlers are left as they are', () => {
    const handlers = { open() {}, message() {}, drain() {}, pong() {}, ping() {}, close() {} };
    assert.equal(
      new MessageLimits({ messages_per_second: 0, message_bytes_per_second: 0 }).around(handlers, () => undefined),
      handlers,
    );
  });
});

test('messages by POST: one allowance for each sender', () => {
  const posts = new MessageLimits({ messages_per_second: 5, message_bytes_per_second: 1000 });
  const sent = (sender: string, count: number, bytes: number, now: number): number =>
    Array.from({ length: count }, () => posts.allowsPost(sender, bytes, now)).filter(Boolean).length;
  assert.equal(sent('one', 60, 1, 0), 5);
  assert.equal(sent('other', 3, 500, 0), 2);
  assert.equal(sent('one', 60, 1, 1000), 5);
  const unlimited = new MessageLimits({ messages_per_second: 0, message_bytes_per_second: 0 });
  assert.equal(Array.from({ length: 100 }, () => unlimited.allowsPost('one', 1 << 20, 0)).every(Boolean), true);
});

test('an invented session is no user, no address, and not kept at its length', () => {
  const senders = [
    senderOf(undefined, undefined, '192.0.2.1'),
    senderOf(undefined, 'ann', '192.0.2.1'),
    senderOf('192.0.2.1', undefined, '192.0.2.1'),
    senderOf('ann', 'ann', '192.0.2.1'),
    senderOf('address 192.0.2.1', undefined, '192.0.2.1'),
    senderOf('user ann', 'ann', '192.0.2.1'),
  ];
  assert.equal(new Set(senders).size, senders.length);
  assert(senderOf('x'.repeat(15_000), undefined, '192.0.2.1').length < 100);
});
