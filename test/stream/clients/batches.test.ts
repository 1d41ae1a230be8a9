/** What is delivered together leaves together: one cork of the socket, one write of the response. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Socket } from '../../../src/engine/engine.ts';
import { WebSocketClient } from '../../../src/stream/clients/websocket.ts';
import { Message } from '../../../src/stream/message.ts';

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

function messages(...texts: readonly string[]): readonly Message[] {
  return texts.map((text, at) => new Message(Buffer.from(text), false, String(at + 1), at + 1));
}

test('a WebSocket gets a batch in one write, in its order; a single message without the detour', () => {
  const socket = new FakeSocket();
  const client = new WebSocketClient(socket, false, 30_000, { delivered: () => undefined, resumed: () => undefined });
  assert.equal(client.deliver(messages('a', 'b', 'c'), 'stdout'), true);
  assert.equal(client.deliver(messages('d'), 'stdout'), true);
  assert.deepEqual(socket.writes, [['a', 'b', 'c'], ['d']]);
});
