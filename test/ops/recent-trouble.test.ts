import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentTrouble } from '../../src/ops/recent-trouble.ts';

test('the newest are kept, the newest first, and long ones are cut', () => {
  const recent = new RecentTrouble();
  for (let number = 1; number <= 60; number++) recent.add('warn', `number ${number}`, { route: '/x' });
  recent.add('error', 'x'.repeat(10_000), { detail: 'y'.repeat(10_000), ms: 3 });
  const all = recent.newest();
  assert.equal(all.length, 50);
  assert.equal(all[0]?.number, 61);
  assert.equal(all[0]?.message.length, 502);
  assert.equal(String(all[0]?.fields['detail']).length, 502);
  assert.equal(all[0]?.fields['ms'], 3);
  assert.equal(all[49]?.message, 'number 12');
  assert.deepEqual(
    recent.newest(2).map(({ number }) => number),
    [61, 60],
  );
});

test('the same about the same route is one entry, counted, and pushes nothing out', () => {
  const recent = new RecentTrouble();
  recent.add('error', 'the disk is full');
  for (let number = 1; number <= 200; number++) {
    recent.add('error', 'no room', { route: '/x', id: `x${number}` });
    recent.add('warn', 'no room', { route: '/x' });
    recent.add('error', 'no room', { route: '/y' });
  }
  assert.deepEqual(
    recent.newest().map(({ level, message, fields, times }) => [level, message, fields['route'], times]),
    [
      ['error', 'no room', '/y', 200],
      ['warn', 'no room', '/x', 200],
      ['error', 'no room', '/x', 200],
      ['error', 'the disk is full', undefined, 1],
    ],
  );
  assert.equal(recent.newest()[2]?.fields['id'], 'x200');
});
