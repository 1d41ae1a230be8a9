import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { LongPollPositions } from '../../../src/stream/channel/long-polls.ts';
import { portionFrom } from '../../../src/stream/history/chain.ts';
import { History } from '../../../src/stream/history/history.ts';
import { Replay } from '../../../src/stream/history/replay.ts';
import { Message } from '../../../src/stream/message.ts';

function filled(count: number, size: number, bounds: Partial<{ messages: number; bytes: number; age: number }>) {
  let now = 0;
  const history = new History(
    'run',
    { messages: bounds.messages ?? 1000, bytes: bounds.bytes ?? 1 << 20, age: bounds.age },
    () => now,
  );
  for (let at = 1; at <= count; at++) {
    const { id, sequence } = history.next();
    history.add(new Message(Buffer.alloc(size, `${at % 10}`), false, id, sequence));
    now += 1000;
  }
  return { history, sequences: () => history.all().map(({ sequence }) => sequence) };
}

describe('what is kept', () => {
  const cases: readonly (readonly [what: string, bounds: Parameters<typeof filled>[2], kept: readonly number[]])[] = [
    ['everything within the bounds', {}, [1, 2, 3, 4, 5]],
    ['so many messages', { messages: 2 }, [4, 5]],
    ['so many bytes', { bytes: 350 }, [3, 4, 5]],
    ['so old', { age: 2500 }, [4, 5]],
    ['nothing', { messages: 0 }, []],
    ['nothing that is too large', { bytes: 99 }, []],
  ];
  for (const [what, bounds, kept] of cases)
    test(what, () => assert.deepEqual(filled(5, 100, bounds).sequences(), kept));
});

describe('who comes back', () => {
  const { history } = filled(5, 100, { messages: 3 });
  const cases: readonly (readonly [id: string, rest: readonly number[] | undefined, missed: number | undefined])[] = [
    ['run-5', [], 0],
    ['run-4', [5], 0],
    ['run-2', [3, 4, 5], 0],
    ['run-1', [3, 4, 5], 1],
    ['run-0', [3, 4, 5], 2],
    ['run-6', undefined, undefined],
    ['other-4', undefined, undefined],
    ['', undefined, undefined],
  ];
  for (const [id, rest, missed] of cases)
    test(id === '' ? 'without an id' : id, () => {
      const resumed = history.after(id);
      const got = resumed && portionFrom(resumed.from, 1 << 20).batch.map(({ sequence }) => sequence);
      assert.deepEqual([got, resumed?.missed], [rest, missed]);
    });
});

test('a portion has at least one message, and ends where it is told', () => {
  const { history } = filled(5, 100, {});
  const sizes = (most: number, last?: number): number => portionFrom(history.beginning(), most, last).batch.length;
  assert.deepEqual([sizes(1), sizes(400), sizes(10_000), sizes(10_000, 3)], [1, 2, 5, 3]);
  assert.equal(portionFrom(history.end, 100).batch.length, 0);
});

test('what is not kept is not held, in no form; a position holds what comes after it and nothing else', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const { history } = filled(0, 0, { messages: 1, bytes: 1 << 20 });
  const held: WeakRef<Buffer>[] = [];
  const positions = new Map<number, ReturnType<History['beginning']>>();
  for (let at = 1; at <= 64; at++) {
    const { id, sequence } = history.next();
    const message = new Message(Buffer.alloc(1 << 20, 'x'), true, id, sequence);
    held.push(new WeakRef(message.data));
    if (at === 1) {
      // Two transports have had it.
      message.share();
      held.push(new WeakRef(message.event), new WeakRef(message.numbered));
      message.unshare();
    }
    history.add(message);
    if (at === 60) positions.set(at, history.end);
  }
  // What a WeakRef was just made of lives until the turn is over.
  await new Promise((resolve) => setImmediate(resolve));
  gc();
  const alive = held.filter((each) => each.deref() !== undefined).length;
  assert.equal(alive, 4, 'the one that is kept and the three behind the position');
  assert.equal(history.all().length, 1);
});

describe('whoever does not come holds nothing', () => {
  /** How many of these messages are alive, which are so large that none is copied. */
  const alive = async (count: number, added: (history: History) => void): Promise<number> => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const { history } = filled(0, 0, { messages: 1 });
    const messages: WeakRef<Buffer>[] = [];
    for (let at = 0; at < count; at++) {
      const { id, sequence } = history.next();
      const message = new Message(Buffer.alloc(100_000), true, id, sequence);
      messages.push(new WeakRef(message.data));
      history.add(message);
      added(history);
    }
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    return messages.filter((each) => each.deref() !== undefined).length;
  };

  test('a program that was started for somebody who never listens says what it says to nobody', async () => {
    let replaying: Replay | undefined;
    const left = await alive(1000, (history) => {
      if (replaying !== undefined) return;
      replaying = new Replay({ history, rule: 'none', binary: true, snapshot: () => undefined });
      replaying.sourceStarted();
    });
    assert.equal(left, 1, 'what is kept');
    const from = replaying?.from(undefined).from;
    assert.deepEqual(from && portionFrom(from, 1).batch.length, 1, 'what is kept of what it said is for who comes now');
  });

  test('the position of a long-poll has a bound for empty messages, too', () => {
    const positions = new LongPollPositions({ time: 1_000_000, bytes: 6400 }, () => undefined);
    const { history } = filled(1, 0, {});
    positions.hold(history.end);
    for (let at = 2; at <= 101; at++) {
      const { id, sequence } = history.next();
      history.add(new Message(Buffer.alloc(0), true, id, sequence));
      positions.advance(history.end);
      if (at === 101) assert.equal(positions.take(1)?.sequence, 1);
      if (at === 101) positions.hold(history.positionAfter(1));
    }
    const { id, sequence } = history.next();
    history.add(new Message(Buffer.alloc(0), true, id, sequence));
    positions.advance(history.end);
    assert.equal(positions.take(1), undefined);
    positions.clear();
  });
});
