import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NoPermit, Semaphore } from '../../../src/handlers/cgi/semaphore.ts';

const LONG = 60_000;
const because = (why: string) => (error: unknown) => error instanceof NoPermit && error.why === why;

test('places are given in order, and released ones go on', async () => {
  const semaphore = new Semaphore(2, 2);
  const [a, b, c, d] = [semaphore.take(LONG), semaphore.take(LONG), semaphore.take(LONG), semaphore.take(LONG)];
  await a.ready;
  await b.ready;
  assert.equal(semaphore.waiting, 2);
  await assert.rejects(semaphore.take(LONG).ready, because('full'));
  const order: string[] = [];
  void c.ready.then(() => order.push('c'));
  void d.ready.then(() => order.push('d'));
  a.release();
  a.release();
  await c.ready;
  assert.equal(semaphore.waiting, 1, 'a second release gives nothing');
  b.release();
  await d.ready;
  assert.deepEqual(order, ['c', 'd']);
  c.release();
  d.release();
  await semaphore.take(LONG).ready;
  await semaphore.take(LONG).ready;
  assert.equal(semaphore.waiting, 0);
});

test('who waits too long, leaves, or is there at the end is refused', async () => {
  const semaphore = new Semaphore(1, 10);
  const holder = semaphore.take(LONG);
  await holder.ready;
  await assert.rejects(semaphore.take(1).ready, because('timeout'));
  const leaver = semaphore.take(LONG);
  const next = semaphore.take(LONG);
  leaver.release();
  await assert.rejects(leaver.ready, because('left'));
  holder.release();
  await next.ready;
  const last = semaphore.take(LONG);
  semaphore.close();
  await assert.rejects(last.ready, because('closed'));
  await assert.rejects(semaphore.take(LONG).ready, because('closed'));
  next.release();
  assert.equal(semaphore.waiting, 0);
});

test('no line at all', async () => {
  const semaphore = new Semaphore(1, 0);
  const holder = semaphore.take(LONG);
  await holder.ready;
  await assert.rejects(semaphore.take(LONG).ready, because('full'));
  holder.release();
  await semaphore.take(LONG).ready;
});
