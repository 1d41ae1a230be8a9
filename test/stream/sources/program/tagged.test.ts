/** A tagged program that does not read: who floods it is refused, and nobody else hears of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeClient, fakeChannel } from '../../../support/fake-channel.ts';

interface Told {
  readonly client: string;
  readonly event: string;
}

const told = (lines: readonly string[]): readonly string[] =>
  lines.map((text) => JSON.parse(text) as Told).map(({ client, event }) => `${client} ${event}`);

describe('a tagged program', () => {
  test('that does not read is told of everybody when it does, and never given up', async () => {
    const { channel, join, source, read } = await fakeChannel({ tagged: true });
    const [flooder, other] = [new FakeClient(true), new FakeClient(true)];
    const first = join(flooder);
    const second = join(other);
    source().reads = false;
    const sent: unknown[] = [];
    for (let at = 0; at < 20; at++) sent.push(await channel.send(first, Buffer.alloc(60_000, 'x')));
    assert.equal(sent.includes('full'), true);
    assert.equal(await channel.send(second, Buffer.from('hello')), 'full');
    channel.leave(first);
    const third = join(new FakeClient(true));
    assert.equal(other.ended, undefined);
    assert.deepEqual(told(source().lines).slice(-1), ['c1 message']);
    for (let at = 0; at < 5; at++) read();
    assert.deepEqual(told(source().lines).slice(-2), ['c1 close', 'c3 open']);
    assert.equal(await channel.send(third, Buffer.from('hello')), 'sent');
    assert.equal(await channel.send(second, Buffer.from('hello')), 'sent');
  });

  test('is not filled up by those who come and go', async () => {
    const { channel, join, source, read } = await fakeChannel({ tagged: true });
    const stays = join(new FakeClient(true));
    source().reads = false;
    for (let at = 0; at < 10_000; at++) channel.leave(join(new FakeClient(true)));
    assert.ok(source().waiting < 256 * 1024, `${source().waiting} bytes`);
    assert.equal(await channel.send(stays, Buffer.from('hello')), 'sent');
    for (let at = 0; at < 10; at++) read();
    const events = told(source().lines);
    const opened = events.filter((event) => event.endsWith(' open')).length;
    const closed = events.filter((event) => event.endsWith(' close')).length;
    assert.equal(opened, closed + 1, 'each that it has heard of, and that has left');
  });

  test('with more viewers than its queue holds is started again once, and told of all', async () => {
    const { channel, join, source, read, crash } = await fakeChannel({ tagged: true });
    const clients = Array.from({ length: 1000 }, () => new FakeClient(true));
    const members = clients.map((client) => join(client));
    await crash();
    const again = source();
    again.reads = false;
    assert.equal(clients.filter(({ ended }) => ended !== undefined).length, 0);
    // Meanwhile somebody leaves, comes and speaks.
    const [first, , third] = members;
    if (first !== undefined) channel.leave(first);
    join(new FakeClient(true));
    assert.equal(await channel.send(third, Buffer.from('hello')), 'sent');
    for (let at = 0; at < 50; at++) read();
    assert.equal(source(), again);
    const opened = told(again.lines).filter((event) => event.endsWith(' open'));
    assert.equal(new Set(opened).size, opened.length);
    // All that were there and the one that has come, and the first one only if it was told of before it left.
    const closed = told(again.lines).filter((event) => event.endsWith(' close'));
    assert.equal(opened.length, 1000 + closed.length);
    const speaker = told(again.lines).filter((event) => event.startsWith('c3 '));
    assert.deepEqual(speaker, ['c3 open', 'c3 message']);
  });

  test('that says several things to all in a row gives them to each together, and nothing changes its place', async () => {
    const { join, print } = await fakeChannel({ tagged: true });
    const [one, other] = [new FakeClient(true), new FakeClient(true)];
    join(one);
    join(other);
    const line = (data: string, ...to: readonly string[]): string =>
      JSON.stringify(to.length === 0 ? { data } : { to, data });
    print(line('a'), line('b'), line('for c1', 'c1'), line('c'), line('d'), 'no line of its', line('e'));
    assert.deepEqual(one.got, ['a', 'b', 'for c1', 'c', 'd', 'e']);
    assert.deepEqual(one.batches, [2, 1, 3]);
    assert.deepEqual(other.got, ['a', 'b', 'c', 'd', 'e']);
    assert.deepEqual(other.batches, [2, 3]);
  });
});
