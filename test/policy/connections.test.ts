import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseAddressRange } from '../../src/net/address-range.ts';
import { AddressSet } from '../../src/policy/addresses.ts';
import { filesFor, roomFor } from '../../src/policy/connection-guard.ts';
import { ConnectionLimits } from '../../src/policy/connections.ts';

/** Limits over a table of connections that knows everything, as the kernel does. */
function limits(max: number, maxPerAddress: number, exempt = '127.0.0.1') {
  const range = parseAddressRange(exempt);
  assert(range !== undefined);
  const open: string[] = [];
  let asked = 0;
  let deciding = '';
  const census = (): readonly string[] => {
    asked++;
    // The one that is decided on is in the kernel's table already.
    return [...open, deciding];
  };
  const connections = new ConnectionLimits({ max, maxPerAddress, exempt: [new AddressSet([range, 'unix'])], census });
  return {
    open(address: string, now = 0): string | undefined {
      deciding = address;
      const limit = connections.opened(address, now);
      if (limit === undefined) open.push(address);
      return limit;
    },
    close(address: string, told = true): void {
      open.splice(open.indexOf(address), 1);
      connections.closed(told ? address : undefined);
    },
    name: (address: string, now = 0) => connections.opened(address, now, true),
    unname: (address: string) => connections.closed(address, true),
    get asked() {
      return asked;
    },
  };
}

describe('connection limits', () => {
  test('so many in all, whoever they are', () => {
    const door = limits(2, 2);
    assert.deepEqual(
      ['a', '127.0.0.1', 'b', '127.0.0.1'].map((address) => door.open(address)),
      [undefined, undefined, 'max', 'max'],
    );
    door.close('a');
    assert.equal(door.open('b'), undefined);
  });
  test('so many of one address, /64 for IPv6, and none of their own for some', () => {
    const door = limits(100, 2);
    assert.deepEqual(
      ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1'].map((a) => door.open(a)),
      [undefined, undefined, 'address', undefined],
    );
    for (let count = 0; count < 10; count++) assert.equal(door.open('127.0.0.1'), undefined);
    for (let count = 0; count < 10; count++) assert.equal(door.open('unix'), undefined);
    assert.equal(door.asked, 0);
  });
  test('where it is not told who has left, the kernel is asked, but not all the time', () => {
    const door = limits(100, 2);
    for (const address of ['a', 'a', 'b']) door.open(address);
    door.close('a', false);
    assert.equal(door.open('a', 1000), undefined);
    assert.equal(door.asked, 1);
    assert.equal(door.open('a', 1001), 'address');
    door.close('a', false);
    assert.equal(door.open('a', 1002), 'address', 'the last answer is believed for a moment');
    assert.equal(door.asked, 1);
    assert.equal(door.open('a', 1300), undefined);
    assert.equal(door.asked, 2);
  });
  test('whom a proxy has named no census finds, and none forgets', () => {
    const door = limits(100, 2);
    assert.deepEqual(
      ['a', 'a', 'a'].map((address) => door.name(address)),
      [undefined, undefined, 'address'],
    );
    door.open('b');
    door.open('b');
    door.close('b', false);
    assert.equal(door.open('b', 1000), undefined);
    assert.equal(door.asked, 1);
    assert.equal(door.name('a', 1001), 'address');
    assert.equal(door.open('a', 1400), 'address', 'one address is one client, whoever says so');
    door.unname('a');
    assert.equal(door.name('a', 1002), undefined);
  });
  test('nobody is asked while there are fewer than one address may have', () => {
    const door = limits(100, 3);
    for (let round = 0; round < 50; round++) {
      assert.equal(door.open('a', round), undefined);
      assert.equal(door.open('a', round), undefined);
      door.close('a', false);
      door.close('a', false);
    }
    assert.equal(door.asked, 0);
  });
});

test('other limits hold for those to come, and what is open is still counted', () => {
  const options = { max: 3, maxPerAddress: 3, exempt: [], census: () => [] };
  const connections = new ConnectionLimits(options);
  for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.2']) connections.opened(address, 0);
  assert.equal(connections.opened('192.0.2.3', 0), 'max');
  connections.change({ ...options, max: 5, maxPerAddress: 2 });
  assert.equal(connections.opened('192.0.2.1', 0), 'address');
  assert.equal(connections.opened('192.0.2.3', 0), undefined);
  connections.change({ ...options, max: 2 });
  assert.deepEqual([connections.open, connections.opened('192.0.2.4', 0)], [4, 'max']);
});

test('few open files are shared between connections and everything else, many leave a quarter', () => {
  for (const [files, room] of [
    [16, 1],
    [64, 16],
    [96, 32],
    [128, 64],
    [256, 192],
    [1024, 768],
    [65536, 49152],
  ] as const)
    assert.equal(roomFor(files), room, String(files));
  for (const connections of [64, 192, 1024, 10_000]) {
    assert.ok(roomFor(filesFor(connections)) >= connections, String(connections));
    assert.ok(roomFor(filesFor(connections) - 2) < connections, String(connections));
  }
});
