import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownPageSize, parseUsage, processUsage } from '../../src/ops/system/process-usage.ts';

test('what a process uses is read behind its name, whatever that is', () => {
  const stat =
    '77 (a) b (c) S 1 77 77 0 -1 4194560 500 0 0 0 150 50 0 0 20 0 1 0 900 8192000 300 18446744073709551615 1 1';
  assert.deepEqual(parseUsage(stat, 4096), { processor: 2, resident: 300 * 4096 });
  assert.equal(parseUsage('', 4096), undefined);
});

test('of this process, and of one that is not there', () => {
  assert.ok([4096, 16384, 65536].includes(ownPageSize()));
  assert.ok((processUsage(process.pid, ownPageSize())?.resident ?? 0) > 1e6);
  assert.equal(processUsage(0x7fffffff, 4096), undefined);
});
