/** One chain for all: who reads has everything, who does not holds no copy, and each gets its rule. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeClient, fakeChannel } from '../../support/fake-channel.ts';

const LINE = 10_000;
const line = (at: number): string => String(at).padEnd(LINE);
const upTo = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => String(at + 1));

describe('clients that do not read', () => {
  test('cost a window each, and not what they are behind', async () => {
    const { join, print } = await fakeChannel({ maxBehind: 8 << 20 });
    const clients = Array.from({ length: 64 }, () => new FakeClient(false));
    for (const client of clients) join(client);
    for (let at = 1; at <= 500; at++) print(line(at));
    for (const { most, ended } of clients) {
      assert.ok(most <= 2 * 64 * 1024, `${most} bytes`);
      assert.equal(ended, undefined);
    }
  });

  test('get everything in order when they read again, within the bound', async () => {
    const { join, print, drain } = await fakeChannel({ maxBehind: 8 << 20 });
    const [slow, quick] = [new FakeClient(false), new FakeClient(true)];
    join(slow);
    join(quick);
    for (let at = 1; at <= 300; at++) print(line(at));
    drain(slow);
    assert.deepEqual(slow.words, upTo(300));
    assert.deepEqual(quick.words, upTo(300));
    // It follows again.
    print(line(301));
    drain(slow);
    assert.deepEqual(slow.words, upTo(301));
    assert.ok(slow.most <= 2 * 64 * 1024);
  });

  test('a past that is larger than the bound comes at their pace, without making them slow', async () => {
    const { join, print, drain } = await fakeChannel({ maxBehind: 16_384, replay: 'all' });
    for (let at = 1; at <= 300; at++) print(line(at));
    const client = new FakeClient(false);
    join(client);
    assert.ok(client.most <= 2 * 64 * 1024, `${client.most} bytes`);
    drain(client);
    assert.deepEqual(client.words, upTo(300));
    assert.deepEqual(
      client.notices.map(({ kind }) => kind),
      ['joined'],
    );
  });

  for (const rule of ['drop', 'latest'] as const)
    test(`${rule}: what they had is whole, what they missed is told, and those who read miss nothing`, async () => {
      const { join, print, drain, tallies } = await fakeChannel({ slowClient: rule });
      const [slow, quick] = [new FakeClient(false), new FakeClient(true)];
      join(slow);
      join(quick);
      for (let at = 1; at <= 200; at++) print(line(at));
      assert.deepEqual(quick.words, upTo(200));
      drain(slow);
      const missed = slow.notices.flatMap((notice) => (notice.kind === 'missed' ? [notice.count ?? 0] : []));
      assert.equal(missed.length, 1);
      assert.equal((missed[0] ?? 0) + slow.got.length, 200);
      const before = rule === 'latest' ? slow.words.slice(0, -1) : slow.words;
      assert.deepEqual(before, upTo(before.length));
      if (rule === 'latest') assert.equal(slow.words.at(-1), '200');
      const dropped = tallies.dropped.get('/fake', 'client_too_slow');
      assert.equal(dropped, (missed[0] ?? 0) + (rule === 'latest' ? 1 : 0));
      print(line(201));
      assert.equal(slow.words.at(-1), '201');
    });

  test('disconnect: closed with 1013 behind what they had, and they may resume for the rest', async () => {
    const { join, print, drain } = await fakeChannel({ slowClient: 'disconnect' });
    const slow = new FakeClient(false);
    const member = join(slow);
    for (let at = 1; at <= 200; at++) print(line(at));
    assert.equal(slow.ended?.code, 1013);
    assert.deepEqual(slow.words, upTo(slow.got.length));
    clearTimeout(member.closing);
    const again = new FakeClient(true);
    join(again, `run-${slow.got.length}`);
    drain(again);
    assert.deepEqual([...slow.words, ...again.words], upTo(200));
  });

  test('an end waits for what they have not taken', async () => {
    const { join, print, drain, channel } = await fakeChannel({ maxBehind: 8 << 20 });
    const slow = new FakeClient(false);
    const member = join(slow);
    for (let at = 1; at <= 100; at++) print(line(at));
    channel.finish({ code: 1001, reason: 'over' });
    assert.equal(slow.ended, undefined);
    drain(slow);
    assert.deepEqual(slow.words, upTo(100));
    assert.deepEqual(slow.ended, { code: 1001, reason: 'over' });
    clearTimeout(member.closing);
  });

  test('one that is being closed does not hold the chain while the stream goes on', async () => {
    const { join, print, channel } = await fakeChannel();
    const slow = new FakeClient(false);
    const member = join(slow);
    for (let at = 1; at <= 20; at++) print(line(at));
    channel.close(member, { code: 1001, reason: 'max_lifetime has passed; please reconnect' });
    assert.notEqual(member.position, undefined);
    for (let at = 21; at <= 200; at++) print(line(at));
    assert.equal(member.position, undefined);
    assert.equal(slow.ended?.code, 1001);
    assert.ok(slow.got.length < 20);
    clearTimeout(member.closing);
  });

  test('what is for one alone keeps its place in the order, and counts', async () => {
    const { join, print, drain, channel } = await fakeChannel({ maxBehind: 8 << 20 });
    const slow = new FakeClient(false);
    const member = join(slow);
    for (let at = 1; at <= 10; at++) print(line(at));
    channel.answer(member, Buffer.from('an answer'));
    channel.stderr(Buffer.from('aside'));
    for (let at = 11; at <= 20; at++) print(line(at));
    drain(slow);
    const words = upTo(20);
    assert.deepEqual(slow.words, [...words.slice(0, 10), 'an answer', 'aside', ...words.slice(10)]);
    slow.bufferedAmount = 0;
    for (let at = 0; at < 1000; at++) channel.answer(member, Buffer.from(line(at)));
    assert.ok(slow.most <= 2 * 64 * 1024, `${slow.most} bytes`);
    assert.equal(member.skipping, true);
    assert.equal(member.unnumbered.length, 0);
  });

  test('words that a client causes and does not read do not fill its buffer', async () => {
    const { join, channel } = await fakeChannel({ maxBehind: 16_384 });
    const client = new FakeClient(false);
    const member = join(client);
    client.bufferedAmount = 20_000;
    for (let at = 0; at < 100; at++) channel.tellLost(member);
    assert.equal(client.notices.filter(({ kind }) => kind === 'notice').length, 0);
  });
});

describe('a client that leaves inside of its own joining', () => {
  for (const call of ['notice', 'deliver'] as const)
    test(`within ${call}`, async () => {
      const { join, print, channel } = await fakeChannel({ replay: 'all' });
      print('one', 'two');
      let left = false;
      const client = new FakeClient(true, (inside) => {
        left ||= inside === call;
      });
      const member = join(client);
      assert.ok(left);
      // What its connection does as soon as it has joined.
      channel.leave(member);
      assert.equal(channel.unused, true);
      print('three');
      assert.equal(client.words.includes('three'), false);
    });
});
