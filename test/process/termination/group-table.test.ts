/** The table of process groups that the watchdog reads. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { GroupTable } from '../../../src/process/termination/group-table.ts';
import { until } from '../support.ts';

function withTable(look: (table: GroupTable, groups: () => string[]) => void | Promise<void>) {
  return async (): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), 'runnel-table-'));
    const file = join(folder, 'table');
    const table = new GroupTable(openSync(file, 'wx+'), (error) => assert.fail(String(error)));
    const groups = (): string[] =>
      readFileSync(file, 'latin1')
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '');
    try {
      await look(table, groups);
    } finally {
      table.close();
      rmSync(folder, { recursive: true });
    }
  };
}

describe('the table', () => {
  test(
    'has a group the moment it is added',
    withTable((table, groups) => {
      table.write(table.take(), '7');
      table.write(table.take(), '?4294967295');
      assert.deepEqual(groups(), ['7', '?4294967295']);
      assert.equal(table.size, 2);
    }),
  );

  test(
    'gives the slot of one that has ended to the next, whose number may be shorter',
    withTable((table, groups) => {
      const slot = table.take();
      table.write(slot, '?4294967295');
      table.write(slot, '4194304');
      assert.deepEqual(groups(), ['4194304']);
      table.leave(slot);
      table.write(table.take(), '7');
      assert.deepEqual(groups(), ['7']);
    }),
  );

  test(
    'forgets one that has ended, by itself or when asked',
    withTable(async (table, groups) => {
      const places = [1, 2, 3].map((group) => {
        const slot = table.take();
        table.write(slot, String(group));
        return slot;
      });
      table.leave(places[1] ?? -1);
      await until('it is out', () => !groups().includes('2'));
      assert.deepEqual(groups(), ['1', '3']);
      table.leave(places[0] ?? -1);
      table.clear();
      assert.deepEqual(groups(), ['3']);
    }),
  );

  test(
    'keeps a number that has come round to another one',
    withTable((table, groups) => {
      const [old, young] = [table.take(), table.take()];
      table.write(old, '77');
      table.write(young, '77');
      table.leave(old);
      table.clear();
      assert.deepEqual(groups(), ['77']);
      assert.equal(table.size, 1);
    }),
  );

  test(
    'does not grow with the number of groups that there were',
    withTable((table, groups) => {
      for (let group = 1; group < 10_000; group++) {
        const slot = table.take();
        table.write(slot, String(group));
        table.leave(slot);
      }
      table.write(table.take(), '77');
      assert.deepEqual(groups(), ['77']);
    }),
  );

  test('writes nothing once it is closed, whatever file has its descriptor then', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'runnel-table-'));
    const descriptor = openSync(join(folder, 'table'), 'wx+');
    const table = new GroupTable(descriptor, (error) => assert.fail(String(error)));
    const [ended, alive] = [table.take(), table.take()];
    table.write(ended, '1');
    table.write(alive, '2');
    table.close();
    const other = openSync(join(folder, 'other'), 'wx+');
    assert.equal(other, descriptor, 'the number is used again');
    table.leave(ended);
    table.write(alive, '3');
    table.clear();
    assert.equal(readFileSync(join(folder, 'other'), 'latin1'), '');
    closeSync(other);
    rmSync(folder, { recursive: true });
  });

  test('says what cannot be written', () => {
    const problems: unknown[] = [];
    const table = new GroupTable(openSync('/dev/full', 'w'), (error) => problems.push(error));
    table.write(table.take(), '1');
    table.close();
    assert.match(String(problems[0]), /ENOSPC|ESPIPE/);
  });
});
