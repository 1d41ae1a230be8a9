/** A list of those who wait: whoever is added and taken out in any order, all that are left are visited, and nobody twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Waiting, WaitingList } from '../../src/ownership/waiting-list.ts';

class One implements Waiting<One> {
  before: One | undefined;
  after: One | undefined;
  waits = false;
  constructor(readonly name: string) {}
}

function visited(list: WaitingList<One>): string {
  const names: string[] = [];
  list.each(({ name }) => names.push(name));
  return names.sort().join('');
}

test('added and deleted in any order', () => {
  for (const order of ['abcd', 'dcba', 'bacd', 'cdab', 'bdac']) {
    const list = new WaitingList<One>();
    const all = new Map(['a', 'b', 'c', 'd'].map((name) => [name, new One(name)]));
    for (const one of all.values()) {
      list.add(one);
      list.add(one);
    }
    let left = 'abcd';
    for (const name of order) {
      const one = all.get(name);
      assert(one !== undefined);
      list.delete(one);
      list.delete(one);
      left = left.replace(name, '');
      assert.equal(visited(list), left);
    }
    assert(list.isEmpty);
  }
});

test('a visit that takes others out', () => {
  const list = new WaitingList<One>();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => new One(name)) as [One, One, One];
  for (const one of [a, b, c]) list.add(one);
  const names: string[] = [];
  list.each((one) => {
    names.push(one.name);
    for (const each of [a, b, c]) list.delete(each);
    list.add(a);
  });
  assert.deepEqual(names.at(0), 'c');
  assert.equal(visited(list), 'a');
});
