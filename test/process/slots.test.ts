import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NoSlot, Slots } from '../../src/process/slots.ts';

const LONG = 60_000;
const because = (why: string) => (error: unknown) => error instanceof NoSlot && error.why === why;

test('places are given in order, and released ones go on', async () => {
  const slots = new Slots(2, 2);
  const [a, b, c, d] = [slots.take(LONG), slots.take(LONG), slots.take(LONG), slots.take(LONG)];
  await a.ready;
  await b.ready;
  assert.equal(slots.waiting, 2);
  await assert.rejects(slots.take(LONG).ready, because('full'));
  const order: string[] = [];
  void c.ready.then(() => order.push('c'));
  void d.ready.then(() => order.push('d'));
  a.release();
  a.release();
  await c.ready;
  assert.equal(slots.waiting, 1, 'a second release gives nothing');
  b.release();
  await d.ready;
  assert.deepEqual(order, ['c', 'd']);
  c.release();
  d.release();
  await slots.take(LONG).ready;
  await slots.take(LONG).ready;
  assert.equal(slots.waiting, 0);
});

test('who waits too long, leaves, or is there at the end is refused', async () => {
  const slots = new Slots(1, 10);
  const holder = slots.take(LONG);
  await holder.ready;
  await assert.rejects(slots.take(1).ready, because('timeout'));
  const leaver = slots.take(LONG);
  const next = slots.take(LONG);
  leaver.release();
  await assert.rejects(leaver.ready, because('left'));
  holder.release();
  await next.ready;
  const last = slots.take(LONG);
  slots.close();
  await assert.rejects(last.ready, because('closed'));
  await assert.rejects(slots.take(LONG).ready, because('closed'));
  next.release();
  assert.equal(slots.waiting, 0);
});

test('no line at all', async () => {
  const slots = new Slots(1, 0);
  const holder = slots.take(LONG);
  await holder.ready;
  await assert.rejects(slots.take(LONG).ready, because('full'));
  holder.release();
  await slots.take(LONG).ready;
});
