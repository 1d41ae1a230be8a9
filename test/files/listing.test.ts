/** Folders as they are read: what is kept of them, and how many are looked at together. */
import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FolderListing, ListingSemaphore } from '../../src/files/listing.ts';
import { folderWith } from '../support/gateway.ts';
import { descriptorsOf } from '../support/processes.ts';

async function rest(listing: FolderListing): Promise<readonly string[]> {
  const names: string[] = [];
  for (let batch = await listing.next(); batch !== undefined; batch = await listing.next())
    names.push(...batch.map(({ name }) => name));
  return names;
}

test('a folder that is too large to be sorted is counted, and looked at only as it is sent', async (t) => {
  const folder = folderWith(t, {});
  const files = Array.from({ length: 5100 }, (_, index) => `file-${index}`);
  for (const name of files) closeSync(openSync(join(folder, name), 'w'));
  const before = descriptorsOf(process.pid).length;
  const listing = await FolderListing.open(folder, [''], new ListingSemaphore());
  assert.ok(!listing.sorted);
  // What is gone by now would be sent if it had been kept.
  for (const name of files.slice(100)) rmSync(join(folder, name));
  const names = await rest(listing);
  await listing.close();
  assert.deepEqual([...names].sort(), files.slice(0, 100).sort());
  assert.equal(descriptorsOf(process.pid).length, before);
});

test('a folder that is not is sorted, whatever order it has on the disk', async (t) => {
  const files = Array.from({ length: 200 }, (_, index) => `file-${index}`);
  const folder = folderWith(t, Object.fromEntries([...files].reverse().map((name) => [name, ''])));
  const listing = await FolderListing.open(folder, [''], new ListingSemaphore());
  assert.ok(listing.sorted);
  assert.deepEqual(await rest(listing), files);
  await listing.close();
});

test('two at work, the others in their order; who fails does not keep his turn', async () => {
  const turns = new ListingSemaphore();
  const order: number[] = [];
  let now = 0;
  let most = 0;
  const work = (index: number) => async (): Promise<void> => {
    most = Math.max(most, ++now);
    order.push(index);
    await new Promise(setImmediate);
    now--;
    if (index % 3 === 0) throw new Error('no');
  };
  const all = Array.from({ length: 20 }, (_, index) => turns.run(work(index)).catch(() => undefined));
  await Promise.all(all);
  assert.equal(most, 2);
  assert.deepEqual(order, [...order.keys()]);
});
