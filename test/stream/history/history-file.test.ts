/** A history on the disk, without a gateway: what is found again after each way in which a process or a disk may end. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Log } from '../../../src/ops/log.ts';
import { Tallies } from '../../../src/ops/tallies.ts';
import { History } from '../../../src/stream/history/history.ts';
import { HistoryFile, type HistoryFileOptions } from '../../../src/stream/history/history-file.ts';
import { lockBySocket, openLocked } from '../../../src/stream/history/locked-file.ts';
import { type PastPortion, ReadGate } from '../../../src/stream/history/past-reader.ts';
import { HEADER_BYTES, RECORD_BYTES, RESERVE } from '../../../src/stream/history/records.ts';
import { Message } from '../../../src/stream/message.ts';
import { folderWith } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

interface Opened {
  readonly file: HistoryFile;
  readonly history: History;
  readonly tallies: Tallies;
  say(...texts: readonly string[]): void;
  close(): Promise<void>;
}

const SILENT = new Log({ format: () => undefined, level: 'error', colour: false, descriptor: 2 });

async function opened(path: string, changes: Partial<HistoryFileOptions> = {}): Promise<Opened> {
  const bounds = { messages: 1000, bytes: 1 << 20, age: undefined };
  const options: HistoryFileOptions = { path, bounds, sync: 'message', binary: false, route: '/notes', ...changes };
  const tallies = new Tallies();
  const locked = await openLocked(path, lockBySocket);
  const file = await HistoryFile.open(locked, options, { log: SILENT, tallies, gate: new ReadGate() });
  const history = new History(file, options.bounds);
  return {
    ...{ file, history, tallies },
    say(...texts) {
      for (const text of texts) {
        const { id, sequence } = history.next();
        history.add(new Message(Buffer.from(text), false, id, sequence));
      }
    },
    close: () => file.close(),
  };
}

/** As if the process were killed: what is written stays, and nothing more is. */
async function killed({ history, file }: Opened): Promise<void> {
  await history.kept();
  const { list } = file.segments;
  const before = list.map(({ path }) => [path, readFileSync(path)] as const);
  await file.close();
  for (const [path, bytes] of before) writeFileSync(path, bytes);
}

async function pastOf(history: History, after = 0, fresh = true): Promise<readonly string[]> {
  const texts: string[] = [];
  for await (const { batch } of history.past(after, fresh))
    texts.push(...batch.map(({ message }) => String(message.data)));
  return texts;
}

function place(t: TestContext): string {
  return join(folderWith(t, {}), 'notes');
}

/** The segments of a history, the oldest first. */
function segmentsOf(path: string): readonly string[] {
  return readdirSync(join(path, '..'))
    .filter((name) => name.startsWith('notes.'))
    .sort()
    .map((name) => join(path, '..', name));
}

const numbered = (count: number, from = 1): readonly string[] =>
  Array.from({ length: count }, (_, at) => `m${from + at}`);

describe('what outlives the process', () => {
  test('messages, epoch and numbers, after an end in good order', async (t) => {
    const path = place(t);
    const first = await opened(path);
    first.say('one', 'two');
    const { lastId } = first.history;
    await first.close();
    const second = await opened(path);
    assert.equal(second.history.lastId, lastId);
    second.say('three');
    assert.match(second.history.lastId, new RegExp(`^${lastId.replace(/2$/, '3')}$`));
    assert.deepEqual(await pastOf(second.history), ['one', 'two', 'three']);
    assert.equal(second.history.after(lastId)?.missed, 0);
    await second.close();
  });

  test('after a kill the epoch goes on, and no number comes twice', async (t) => {
    const path = place(t);
    const first = await opened(path);
    first.say('one', 'two');
    await killed(first);
    const second = await opened(path);
    // Somebody may have seen a message that was not written any more.
    const seen = `${first.history.lastId.replace(/2$/, '')}5`;
    assert.equal(second.history.sequenceOf(seen), 5);
    second.say('three');
    assert.equal(second.history.lastId, `${seen.slice(0, -1)}${2 + RESERVE + 1}`);
    assert.deepEqual(await pastOf(second.history), ['one', 'two', 'three']);
    assert.equal(second.history.after(seen)?.missed, 0, 'the numbers that no message had are not missed');
    await killed(second);
    const third = await opened(path);
    third.say('four');
    assert.equal(third.history.end.sequence, 2 + 2 * RESERVE + 2);
    assert.deepEqual(await pastOf(third.history), ['one', 'two', 'three', 'four']);
    const portions = third.history.past(1);
    assert.deepEqual((await portions.next()).value?.missed, 0);
    await third.close();
  });

  test('binary messages, empty ones, and one that is larger than everything in memory', async (t) => {
    const path = place(t);
    const first = await opened(path);
    const large = 'x'.repeat(700_000);
    const { id, sequence } = first.history.next();
    first.history.add(new Message(Buffer.from([0, 255, 10]), true, id, sequence));
    first.say('', large, 'last');
    await first.close();
    const second = await opened(path);
    const batches = [];
    for await (const { batch } of second.history.past(0, true)) batches.push(...batch);
    assert.deepEqual(
      batches.map(({ message }) => [message.binary, message.data.length]),
      [
        [true, 3],
        [false, 0],
        [false, 700_000],
        [false, 4],
      ],
    );
    await second.close();
  });
});

describe('a torn end', () => {
  test('at every byte of the last record, with nothing, zeros, or something else behind it', async (t) => {
    const path = place(t);
    const first = await opened(path);
    first.say('one', 'two');
    await killed(first);
    const [segment = ''] = segmentsOf(path);
    const whole = readFileSync(segment);
    const length = RECORD_BYTES + 3;
    assert.equal(whole.length, HEADER_BYTES + 2 * length);
    for (let cut = whole.length - length; cut < whole.length; cut++)
      for (const behind of [Buffer.alloc(0), Buffer.alloc(100), Buffer.alloc(50, 0xa5)]) {
        const torn = place(t);
        writeFileSync(torn, readFileSync(path));
        writeFileSync(join(torn, '..', basename(segment)), Buffer.concat([whole.subarray(0, cut), behind]));
        const second = await opened(torn);
        second.say('three');
        assert.deepEqual(
          await pastOf(second.history),
          ['one', 'three'],
          `cut at ${cut}, ${behind.length} bytes behind`,
        );
        assert.ok(second.history.end.sequence > 2 + 1, 'the number of what was lost is not used again');
        await second.close();
      }
  });

  test('a segment that was just being begun', async (t) => {
    const path = place(t);
    const first = await opened(path);
    first.say('one');
    await first.close();
    for (const head of [Buffer.alloc(0), readFileSync(segmentsOf(path)[0] ?? '').subarray(0, 20)]) {
      writeFileSync(`${path}.000000000000009`, head);
      const second = await opened(path);
      assert.deepEqual(await pastOf(second.history), ['one']);
      await second.close();
    }
  });
});

test('a record that is damaged in the middle is lost, and what is behind it is not', async (t) => {
  const path = place(t);
  const first = await opened(path);
  first.say(...numbered(10));
  await first.close();
  const [segment = ''] = segmentsOf(path);
  const whole = readFileSync(segment);
  // In the data, and in the length.
  for (const byte of [RECORD_BYTES, 5]) {
    const bytes = Buffer.from(whole);
    const at = HEADER_BYTES + 4 * (RECORD_BYTES + 2) + byte;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at);
    writeFileSync(segment, bytes);
    const second = await opened(path);
    assert.deepEqual(
      await pastOf(second.history),
      numbered(10).filter((text) => text !== 'm5'),
    );
    assert.equal(second.tallies.history.errors.get('/notes', 'damaged'), 1);
    await second.close();
  }
});

describe('bounds', () => {
  test('of messages: no more are shown, and no more than a segment beside them stays', async (t) => {
    const path = place(t);
    const bounds = { messages: 50, bytes: 1 << 20, age: undefined };
    const first = await opened(path, { bounds });
    first.say(...numbered(120));
    await first.close();
    const second = await opened(path, { bounds });
    assert.deepEqual(await pastOf(second.history), numbered(50, 71));
    assert.equal(second.history.oldest().earlier, undefined);
    await second.close();
  });

  test('of bytes: the oldest segments are removed, and nothing is written anew', async (t) => {
    const path = place(t);
    const bounds = { messages: 100_000, bytes: 400_000, age: undefined };
    const first = await opened(path, { bounds });
    for (let at = 0; at < 40; at++) {
      first.say(...Array.from({ length: 20 }, (_, line) => `${at * 20 + line} `.padEnd(1000, 'x')));
      await first.history.kept();
    }
    const bytes = segmentsOf(path).reduce((sum, segment) => sum + statSync(segment).size, 0);
    assert.ok(bytes < 480_000, `${bytes} bytes on the disk`);
    const past = await pastOf(first.history);
    assert.ok(past.length > 250 && past.length <= 400, `${past.length} messages`);
    assert.equal(past.at(-1)?.split(' ')[0], '799');
    // Somebody who was away too long is told how many are gone.
    let missed: number | undefined;
    for await (const portion of first.history.past(10)) {
      missed = portion.missed;
      break;
    }
    assert.equal(missed, 800 - past.length - 10);
    await first.close();
  });

  test('of age: a clock that was not set, or that was ahead, drops nothing', async (t) => {
    const path = place(t);
    const first = await opened(path);
    for (const time of [Date.now() - 7_200_000, Number.NaN, Date.now() + 7_200_000, Date.now()]) {
      const { id, sequence } = first.history.next();
      first.file.chain.add(new Message(Buffer.from(String(sequence)), false, id, sequence), time);
      first.file.added();
    }
    await first.close();
    const second = await opened(path, { bounds: { messages: 1000, bytes: 1 << 20, age: 3_600_000 } });
    assert.deepEqual(await pastOf(second.history), ['2', '3', '4']);
    await second.close();
  });

  test('that become smaller', async (t) => {
    const path = place(t);
    const first = await opened(path);
    first.say(...numbered(100));
    await first.history.kept();
    first.file.change({
      ...{ path, sync: 'never', binary: false, route: '/notes' },
      bounds: { messages: 5, bytes: 1 << 20, age: undefined },
    });
    assert.deepEqual(await pastOf(first.history), numbered(5, 96));
    await first.close();
  });
});

/** Several segments of 32 KiB, one message of 1,000 bytes after the other. */
async function withSegments(path: string, changes: Partial<HistoryFileOptions> = {}): Promise<Opened> {
  const bounds = { messages: 100_000, bytes: 256 * 1024, age: undefined };
  const first = await opened(path, { bounds, ...changes });
  for (let at = 0; at < 150; at++) {
    first.say(`${at} `.padEnd(1000, 'x'));
    await first.history.kept();
  }
  return first;
}

/** The numbers that the texts of messages begin with, and how many were missed on the way. */
async function numbersOf(past: AsyncGenerator<PastPortion, void>): Promise<{ numbers: number[]; missed: number }> {
  let missed = 0;
  const numbers: number[] = [];
  for await (const portion of past) {
    missed += portion.missed ?? Number.NaN;
    numbers.push(...portion.batch.map(({ message }) => Number(String(message.data).split(' ')[0])));
  }
  return { numbers, missed };
}

test('a segment that cannot be read is counted, its messages are missed, and the others are read', async (t) => {
  const path = place(t);
  await (await withSegments(path)).close();
  const second = await opened(path, { bounds: { messages: 100_000, bytes: 300 * 1024, age: undefined } });
  const [, middle = ''] = segmentsOf(path);
  rmSync(middle);
  mkdirSync(middle);
  for (const times of [1, 2]) {
    const { numbers, missed } = await numbersOf(second.history.past(0));
    assert.ok(missed > 20 && missed < 40, `${missed} are missed`);
    assert.equal(missed + numbers.length, 150);
    assert.equal(second.tallies.history.errors.get('/notes', 'failed'), times);
  }
  await second.close();
});

test('a slow reader whose next segment is trimmed meanwhile is told exactly how many are gone', async (t) => {
  const first = await withSegments(place(t));
  const past = first.history.past(0, false, 4000);
  const begun = await past.next();
  assert.ok(begun.value !== undefined && begun.value.batch.length > 0);
  const missedAtFirst = begun.value.missed ?? Number.NaN;
  for (let at = 150; at < 500; at++) {
    first.say(`${at} `.padEnd(1000, 'x'));
    await first.history.kept();
  }
  const { numbers, missed } = await numbersOf(past);
  assert.equal(missedAtFirst + begun.value.batch.length + missed + numbers.length, 500);
  assert.ok(missed > 100, `${missed} are missed`);
  assert.deepEqual(
    numbers,
    Array.from({ length: numbers.length }, (_, at) => 500 - numbers.length + at),
  );
  assert.equal(first.tallies.history.errors.get('/notes', 'failed'), 0);
  await first.close();
});

test('a stream that is binary since then gives what it kept as binary, and the other way round', async (t) => {
  const path = place(t);
  for (const [binary, shown] of [
    [false, [false]],
    [true, [true, true]],
    // What was written as binary stays so: it may not be text.
    [false, [false, true, false]],
  ] as const) {
    const open = await opened(path, { binary });
    const { id, sequence } = open.history.next();
    open.history.add(new Message(Buffer.from('x'), binary, id, sequence));
    await open.history.kept();
    await open.close();
    const again = await opened(path, { binary });
    assert.deepEqual(
      again.history.all().map((message) => message.binary),
      shown,
    );
    await again.close();
  }
});

test('messages that are on the disk alone are read in portions, and the memory goes on exactly behind them', async (t) => {
  const path = place(t);
  const bounds = { messages: 100_000, bytes: 64 << 20, age: undefined };
  const first = await opened(path, { bounds, sync: '1s' });
  const texts = Array.from({ length: 5000 }, (_, at) => `${at} `.padEnd(500, 'x'));
  first.say(...texts);
  await first.close();
  const second = await opened(path, { bounds });
  assert.equal(second.history.holds(0), false);
  assert.deepEqual(await pastOf(second.history), texts);
  assert.deepEqual(await pastOf(second.history, 1234, false), texts.slice(1234));
  assert.ok(second.history.all().length < 600, 'the memory has the end of it');
  await second.close();
});

describe('the writing', () => {
  test('an idle stream writes nothing, and what comes together is written together', async (t) => {
    const path = place(t);
    const first = await opened(path);
    const { tallies } = first;
    assert.equal(tallies.history.writes.get('/notes'), 0);
    first.say(...numbered(500));
    assert.equal(await first.history.kept(), true);
    // The head of the segment, and all of them.
    assert.deepEqual([tallies.history.writes.get('/notes'), tallies.history.syncs.get('/notes')], [2, 1]);
    assert.equal(first.history.kept(), undefined);
    await first.close();
  });

  test('sync = "1s" promises a second, and writes once in it', async (t) => {
    const path = place(t);
    const first = await opened(path, { sync: '1s' });
    const { tallies } = first;
    first.say('one');
    assert.equal(first.history.kept(), undefined);
    await until('the first write', () => tallies.history.writes.get('/notes') === 2);
    const since = performance.now();
    for (let at = 0; at < 20; at++) {
      first.say('more');
      await new Promise(setImmediate);
    }
    if (performance.now() - since < 500) assert.equal(tallies.history.writes.get('/notes'), 2);
    await until('the second write', () => tallies.history.writes.get('/notes') === 3);
    await first.close();
  });

  test('whoever is faster than the disk waits for it, with sync = "1s" and "never", too', async (t) => {
    for (const sync of ['1s', 'never'] as const) {
      const first = await opened(place(t), { sync, bounds: { messages: 1_000_000, bytes: 64 << 20, age: undefined } });
      let waited = 0;
      for (let at = 0; at < 150; at++) {
        first.say(...Array.from({ length: 1000 }, () => 'x'.repeat(10)));
        const kept = first.history.kept();
        if (kept === undefined) continue;
        waited++;
        assert.equal(await kept, true);
      }
      assert.ok(waited > 1 && waited < 50, `waited ${waited} times`);
      assert.equal(first.tallies.history.keeping.get('/notes'), 1);
      await first.close();
      assert.equal(first.history.size().kept, 150_000);
    }
  });

  test('who asks together gets one answer', async (t) => {
    const first = await opened(place(t));
    first.say('one');
    const kept = first.history.kept();
    assert.equal(first.history.kept(), kept);
    assert.equal(await kept, true);
    await first.close();
  });
});

describe('files that are something else', () => {
  const cases: readonly (readonly [what: string, content: string, says: RegExp])[] = [
    ['a text', 'my notes\n', /is not a history of runnel/],
    ['a history of a newer version', 'runnel history 2\n', /newer version of runnel \(format 2, this one knows 1\)/],
  ];
  for (const [what, content, says] of cases)
    test(what, async (t) => {
      const path = place(t);
      writeFileSync(path, content);
      await assert.rejects(opened(path), says);
      assert.equal(readFileSync(path, 'latin1'), content);
    });

  test('a segment that is a pipe, a folder or a link hangs nothing, and what follows has another epoch', async (t) => {
    for (const make of [
      (at: string) => execFileSync('mkfifo', [at]),
      (at: string) => mkdirSync(at),
      (at: string) => symlinkSync('/dev/zero', at),
      (at: string) => writeFileSync(at, Buffer.alloc(100)),
    ]) {
      const path = place(t);
      const first = await opened(path);
      first.say('one');
      const { lastId } = first.history;
      await first.close();
      make(`${path}.000000000000009`);
      const second = await opened(path);
      assert.equal(second.tallies.history.errors.get('/notes', 'damaged'), 1);
      second.say('two');
      assert.notEqual(second.history.lastId.split('-')[0], lastId.split('-')[0]);
      assert.ok(second.history.end.sequence > 9 + RESERVE);
      assert.equal(second.history.after(lastId)?.missed, 0);
      assert.deepEqual(await pastOf(second.history), ['one', 'two']);
      const { lastId: newest } = second.history;
      await second.close();
      // Only once: from now on it is known which numbers there are.
      const third = await opened(path);
      assert.equal(third.history.lastId, newest);
      assert.deepEqual(await pastOf(third.history), ['one', 'two']);
      await third.close();
    }
  });

  test('a segment in the middle that is gone: what was in it is missed, and the rest is read', async (t) => {
    const path = place(t);
    const bounds = { messages: 100_000, bytes: 256 * 1024, age: undefined };
    const first = await opened(path, { bounds });
    for (let at = 0; at < 180; at++) {
      first.say(`${at} `.padEnd(1000, 'x'));
      await first.history.kept();
    }
    await first.close();
    const [, gone = ''] = segmentsOf(path);
    rmSync(gone);
    const second = await opened(path, { bounds: { ...bounds, bytes: 300 * 1024 } });
    let missed = 0;
    const numbers: number[] = [];
    for await (const portion of second.history.past(0)) {
      missed += portion.missed ?? Number.NaN;
      numbers.push(...portion.batch.map(({ message }) => Number(String(message.data).split(' ')[0])));
    }
    assert.ok(missed > 20, `${missed} are missed`);
    assert.equal(missed + numbers.length, 180);
    assert.equal(numbers.at(-1), 179);
    await second.close();
  });

  test('all segments damaged: a new epoch, and none is written over', async (t) => {
    const path = place(t);
    const first = await opened(path);
    first.say('one');
    await first.close();
    const [segment = ''] = segmentsOf(path);
    const bytes = Buffer.from(readFileSync(segment).fill(7, 0, 30));
    writeFileSync(segment, bytes);
    const second = await opened(path);
    second.say('two');
    assert.equal(await (second.history.kept() ?? true), true);
    assert.deepEqual(await pastOf(second.history), ['two']);
    await second.close();
    assert.deepEqual(readFileSync(segment), bytes);
  });

  test('a second history on the file, by whatever name, is refused without FFI, too', async (t) => {
    const path = place(t);
    const first = await opened(path);
    symlinkSync(join(path, '..'), join(path, '..', 'folder'));
    linkSync(path, join(path, '..', 'hard'));
    for (const name of [path, join(path, '..', 'folder', 'notes'), join(path, '..', 'hard')])
      await assert.rejects(opened(name), /is in use by another gateway, or by another stream/);
    await first.close();
    const second = await opened(path);
    await second.close();
  });

  test('a segment whose head is damaged is left alone, and the others are read', async (t) => {
    const path = place(t);
    const bounds = { messages: 100_000, bytes: 1 << 20, age: undefined };
    const first = await opened(path, { bounds });
    for (let at = 0; at < 4; at++) {
      first.say(...Array.from({ length: 100 }, (_, line) => `${at}-${line} `.padEnd(1000, 'x')));
      await first.history.kept();
    }
    await first.close();
    const [oldest = '', ...others] = segmentsOf(path);
    assert.ok(others.length > 0);
    writeFileSync(oldest, Buffer.concat([Buffer.alloc(64), readFileSync(oldest).subarray(64)]));
    const second = await opened(path, { bounds });
    assert.equal((await pastOf(second.history)).at(-1)?.split(' ')[0], '3-99');
    await second.close();
  });
});
