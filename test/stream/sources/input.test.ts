/** What waits for a source: in how many pieces it is written, and when the other end is told that there is no more. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { SourceInput } from '../../../src/stream/sources/input.ts';

/** As much as a pipe holds. */
const PIECE = 64 * 1024;

/** An input whose other end takes everything at once, and what it got. */
function start() {
  const got: string[] = [];
  let drains = 0;
  const stdin = new Writable({
    write(chunk: Buffer, _encoding, done) {
      got.push(chunk.toString('latin1'));
      done();
    },
    final(done) {
      got.push('end');
      done();
    },
  });
  const input = new SourceInput(stdin, () => drains++);
  return { input, got, drains: () => drains };
}

/** A call of its own from outside, as each message of uWebSockets.js is: what a write has begun is over behind it. */
async function call(action: () => void): Promise<void> {
  action();
  await new Promise<void>((resolve) => process.nextTick(() => queueMicrotask(resolve)));
}

test('a first message goes out at once, what comes behind it in one turn together', async () => {
  const { input, got, drains } = start();
  await turn();
  for (const message of ['a', 'b', 'c']) await call(() => input.write([Buffer.from(message)]));
  assert.deepEqual(got, ['a']);
  assert.equal(input.waiting, 2);
  await turn();
  await turn();
  assert.deepEqual(got, ['a', 'bc']);
  assert.equal(input.waiting, 0);
  assert.equal(drains(), 2);
});

test('what fills a pipe is not gathered any longer', async () => {
  const { input, got } = start();
  await turn();
  await call(() => input.write([Buffer.from('a')]));
  await call(() => input.write([Buffer.alloc(PIECE - 1, 'x')]));
  assert.deepEqual(got, ['a']);
  await call(() => input.write([Buffer.from('b')]));
  assert.equal(got.map((piece) => piece.length).join(), `1,${PIECE}`);
});

test('the end comes behind what was gathered', async () => {
  const { input, got } = start();
  await turn();
  await call(() => input.write([Buffer.from('a')]));
  await call(() => input.write([Buffer.from('b')]));
  input.end();
  input.write([Buffer.from('lost')]);
  await turn();
  await turn();
  assert.deepEqual(got, ['a', 'b', 'end']);
});

test('an end with nothing before it is told at once', async () => {
  const { input, got } = start();
  await call(() => input.end());
  assert.deepEqual(got, ['end']);
});
