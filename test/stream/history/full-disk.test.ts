/** A disk that is full: the keeping ends and not the stream, and it goes on when there is room. It needs a small disk, which only root can mount. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Log } from '../../../src/ops/log.ts';
import { Tallies } from '../../../src/ops/tallies.ts';
import { History } from '../../../src/stream/history/history.ts';
import { HistoryFile, type HistoryFileOptions } from '../../../src/stream/history/history-file.ts';
import { lockBySocket, openLocked } from '../../../src/stream/history/locked-file.ts';
import { ReadGate } from '../../../src/stream/history/past-reader.ts';
import { HEADER_BYTES } from '../../../src/stream/history/records.ts';
import { Message } from '../../../src/stream/message.ts';
import { folderWith } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

const isRoot = process.geteuid?.() === 0;

test('a full disk, and one that has room again', { skip: !isRoot && 'only root can mount a small disk' }, async (t) => {
  let mounted: string | undefined;
  // Before the folder is removed.
  t.after(() => mounted !== undefined && execFileSync('umount', ['-l', mounted]));
  const disk = join(folderWith(t, {}), 'disk');
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', disk], { stdio: 'pipe' });
  } catch (error) {
    assert.ok(process.env['CI'] === undefined, `no small disk can be mounted: ${String(error)}`);
    t.skip('no small disk can be mounted');
    return;
  }
  mounted = disk;
  const said: string[] = [];
  const log = new Log({
    format: (_level, message) => {
      said.push(message);
      return undefined;
    },
    level: 'info',
    colour: false,
    descriptor: 2,
  });
  const tallies = new Tallies();
  const path = join(disk, 'notes');
  const bounds = { messages: 100_000, bytes: 8 << 20, age: undefined };
  const options: HistoryFileOptions = { path, bounds, sync: 'message', binary: false, route: '/notes' };
  const retry = { first: 20, last: 50 };
  const openIt = async (): Promise<HistoryFile> =>
    await HistoryFile.open(await openLocked(path, lockBySocket), options, {
      log,
      tallies,
      gate: new ReadGate(),
      retry,
    });
  let file = await openIt();
  let history = new History(file, bounds);
  const say = (text: string): string => {
    const { id, sequence } = history.next();
    history.add(new Message(Buffer.from(text), false, id, sequence));
    return id;
  };
  const keeping = (): number => tallies.history.keeping.get('/notes');

  const first = say('one');
  assert.equal(await (history.kept() ?? true), true);
  // Something else takes the room.
  const other = join(disk, 'other');
  writeFileSync(other, Buffer.alloc(968 * 1024));
  let kept = true;
  for (let at = 0; at < 20 && kept; at++) {
    say(`${at} `.padEnd(8000, 'x'));
    kept = (await (history.kept() ?? true)) === true;
  }
  assert.equal(kept, false, 'whoever waits for it is told');
  assert.equal(keeping(), 0);
  assert.match(
    said.join('\n'),
    /notes cannot be written: the disk is full; the stream continues, but no further message is saved/,
  );
  assert.equal(tallies.history.errors.get('/notes', 'full'), 1);

  // Messages that are neither in memory nor on the disk, in front of a segment that is begun and has no room for a message: they are missed.
  for (let at = 0; at < 60; at++) say(`${at} `.padEnd(8000, 'y'));
  truncateSync(other, 964 * 1024);
  await until('a segment without a message', () =>
    readdirSync(disk).some((name) => name.startsWith('notes.') && statSync(join(disk, name)).size === HEADER_BYTES),
  );
  let last = 0;
  for await (const { batch } of history.past(0, true))
    for (const { message } of batch) if (message.sequence <= 20) last = message.sequence;
  const gap = history.beginning().sequence - last;
  const rest = await history.earlier({ sequence: last, fresh: false })?.next(1024);
  assert.deepEqual([gap > 0, rest?.batch.length], [true, 0]);
  assert.equal((rest?.missed ?? 0) + Math.max(0, history.beginning().sequence - (rest?.to ?? 0)), gap);

  const during = say('while it is full');
  assert.notEqual(
    during.split('-')[0],
    first.split('-')[0],
    'another epoch: nothing can be written down about these numbers',
  );
  assert.equal(history.after(during)?.missed, 0);
  assert.equal(await history.kept(), false);

  rmSync(other);
  await until('it is kept again', () => keeping() === 1);
  const again = say('there is room again');
  assert.equal(await (history.kept() ?? true), true);
  await file.close();
  file = await openIt();
  history = new History(file, bounds);
  const texts: string[] = [];
  for await (const { batch } of history.past(0, true)) texts.push(...batch.map(({ message }) => String(message.data)));
  assert.equal(texts[0], 'one');
  // The memory had what could not be written.
  assert.deepEqual(texts.slice(-2), ['while it is full', 'there is room again']);
  assert.equal(history.after(again)?.missed, 0);
  assert.equal(history.after(first)?.missed, 0);
  await file.close();

  execFileSync('mount', ['-o', 'remount,ro', disk]);
  await assert.rejects(openIt(), /is on a file system that is read-only/);
});
