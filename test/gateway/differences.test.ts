import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Config, readConfig } from '../../src/gateway/config.ts';
import { changedTables, needRestart, same } from '../../src/gateway/differences.ts';

const SAME: readonly [string, unknown, unknown, boolean][] = [
  ['numbers', 1, 1, true],
  ['other numbers', 1, 2, false],
  ['a missing key and an undefined one', { a: undefined }, {}, true],
  ['a key more', { a: 1 }, { a: 1, b: 2 }, false],
  ['arrays', [1, [2]], [1, [2]], true],
  ['the order of an array', [1, 2], [2, 1], false],
  ['maps', new Map([['a', { b: 1 }]]), new Map([['a', { b: 1 }]]), true],
  [
    'the order of a map, in which the first glob that fits wins',
    new Map([
      ['*.js', 1],
      ['*', 2],
    ]),
    new Map([
      ['*', 2],
      ['*.js', 1],
    ]),
    false,
  ],
  ['a map within', { env: new Map([['A', '1']]) }, { env: new Map([['A', '2']]) }, false],
  ['nothing and an object', undefined, {}, false],
  ['expressions', /a/, /b/, false],
];
for (const [name, a, b, expected] of SAME) test(`same: ${name}`, () => assert.equal(same(a, b), expected));

function config(table: Record<string, unknown>): Config {
  const read = readConfig({ stream: { '/': { command: ['true'] } }, ...table }, 'test');
  assert(read.ok);
  return read.config;
}

test('what needs a restart, and which tables have changed', () => {
  const before = config({});
  const next = config({
    connections: { header_bytes: '8KiB', header_time: '5s', keep_alive: '5s', max: 7 },
    processes: { spawner: 'child_process', max: 7 },
    log: { format: 'plain', requests: false },
    stop_timeout: '1s',
  });
  assert.deepEqual(needRestart(before, next), [
    'connections.header_bytes',
    'connections.header_time',
    'connections.keep_alive',
    'processes.spawner',
    'log.format',
  ]);
  assert.deepEqual(changedTables(before, next), ['connections', 'log', 'processes', 'stop_timeout']);
  assert.deepEqual([needRestart(before, config({})), changedTables(before, config({}))], [[], []]);
});
