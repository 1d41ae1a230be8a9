import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AskQueue } from '../../../../src/stream/sources/poll/ask-queue.ts';

/** Runs that end when the test says so. */
function runs() {
  const ends = new Map<string, (result: string) => void>();
  const run = (name: string) => (): Promise<string> => new Promise((resolve) => ends.set(name, resolve));
  const end = (name: string): void => {
    ends.get(name)?.(name);
    ends.delete(name);
  };
  return { run, end, running: () => [...ends.keys()] };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('so many at once, one of each sender', async () => {
  const { run, end, running } = runs();
  const queue = new AskQueue({ atOnce: 2, maxBytes: 100, maxWaiting: 10 });
  const answers = [
    queue.add(1, 'a', run('a1')),
    queue.add(1, 'a', run('a2')),
    queue.add(1, undefined, run('x')),
    queue.add(1, undefined, run('y')),
  ];
  assert.deepEqual(running(), ['a1', 'x']);
  assert.equal(queue.waiting, 2);
  end('x');
  await turn();
  assert.deepEqual(running(), ['a1', 'y']);
  end('a1');
  await turn();
  assert.deepEqual(running(), ['y', 'a2']);
  end('a2');
  end('y');
  assert.deepEqual(await Promise.all(answers), ['a1', 'a2', 'x', 'y']);
  assert.equal(queue.waiting, 0);
});

test('no room beyond the bounds, but for the first that waits', async () => {
  const { run, end } = runs();
  const queue = new AskQueue({ atOnce: 1, maxBytes: 10, maxWaiting: 2 });
  const first = queue.add(1, undefined, run('1'));
  assert.notEqual(queue.add(1000, undefined, run('2')), undefined);
  assert.equal(queue.add(1, undefined, run('3')), undefined);
  end('1');
  await first;
  await turn();
  assert.notEqual(queue.add(5, undefined, run('4')), undefined);
  assert.equal(queue.add(6, undefined, run('5')), undefined);
  assert.notEqual(queue.add(5, undefined, run('6')), undefined);
  assert.equal(queue.add(0, undefined, run('7')), undefined);
});

test('what waits is rejected at the end; one that fails makes room', async () => {
  const queue = new AskQueue({ atOnce: 1, maxBytes: 10, maxWaiting: 5 });
  await assert.rejects(queue.add(1, 'a', () => Promise.reject(new Error('no'))) ?? Promise.resolve(), /no/);
  const { run, end } = runs();
  const running = queue.add(1, 'a', run('1'));
  const waiting = queue.add(1, 'a', run('2'));
  queue.close(new Error('over'));
  await assert.rejects(waiting ?? Promise.resolve(), /over/);
  end('1');
  assert.equal(await running, '1');
});
