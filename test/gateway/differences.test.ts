import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListenerConfig } from '../../src/config/keys/listen.ts';
import { parseAddress } from '../../src/config/values/simple.ts';
import type { Config } from '../../src/gateway/config.ts';
import { readConfig } from '../../src/gateway/config.ts';
import { changedTables, mayClash, needRestart, same } from '../../src/gateway/differences.ts';
import { planListeners } from '../../src/gateway/listener-plan.ts';

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

function address(text: string): ListenerConfig['address'] {
  const parsed = parseAddress(text, '/run');
  assert(parsed !== undefined);
  return parsed;
}

const PLACES: readonly [string, string, boolean][] = [
  ['127.0.0.1:80', ':80', true],
  ['127.0.0.1:80', '127.0.0.1:81', false],
  ['127.0.0.1:0', '127.0.0.1:0', false],
  ['unix:/run/a', 'unix:a', true],
  ['unix:/run/a', ':80', false],
  ['systemd:a', 'systemd:a', true],
  ['systemd:a', 'systemd:b', false],
];
for (const [a, b, expected] of PLACES)
  test(`${a} and ${b}: ${expected ? 'one place' : 'two places'}`, () =>
    assert.equal(mayClash(address(a), address(b)), expected));

type Listen = Pick<ListenerConfig, 'engine'> & {
  readonly address: string;
  readonly redirect?: ListenerConfig['redirect'];
};
function place({ address: text, engine, redirect }: Listen, admin = false) {
  return { admin, listen: { address: address(text), engine, redirect, tls: undefined } };
}

test('listeners: what stays, what is opened, and in which order', () => {
  const a = place({ address: ':80', engine: 'auto' });
  const b = place({ address: '127.0.0.1:81', engine: 'auto' });
  const c = place({ address: ':82', engine: 'auto' });
  const inherited = place({ address: 'systemd:web', engine: 'auto' });
  const metrics = place({ address: ':90', engine: 'node' }, true);
  const wanted = {
    a: place({ address: ':80', engine: 'auto', redirect: { port: 443 } }),
    b: place({ address: ':81', engine: 'auto' }),
    inherited: place({ address: 'systemd:web', engine: 'node' }),
    metrics: place({ address: ':90', engine: 'node' }),
    fresh: place({ address: ':83', engine: 'auto' }),
  };
  const plan = planListeners([a, b, c, inherited, metrics], Object.values(wanted));
  assert.deepEqual(
    [...plan.kept],
    [
      [wanted.a, a],
      [wanted.inherited, inherited],
    ],
  );
  assert.deepEqual(plan.opening, [
    { wanted: wanted.fresh, inTheWay: [] },
    { wanted: wanted.b, inTheWay: [b] },
    // The operator's own has become everybody's: another listener.
    { wanted: wanted.metrics, inTheWay: [metrics] },
  ]);
  assert.deepEqual(plan.unwanted, [b, c, metrics]);
  assert.deepEqual(plan.unchangeable, [inherited]);
});

test('a listener that expects another beginning is another one', () => {
  const open = place({ address: ':80', engine: 'node' });
  const wanted = { ...open, listen: { ...open.listen, proxy_protocol: true } };
  assert.deepEqual(planListeners([open], [wanted]).opening, [{ wanted, inTheWay: [open] }]);
  const said = { ...open, listen: { ...open.listen, proxy_protocol: false } };
  assert.equal(planListeners([open], [said]).kept.get(said), open);
});

test('two listeners on ports of the system are two', () => {
  const [a, b] = [0, 1].map(() => place({ address: '127.0.0.1:0', engine: 'auto' }));
  assert(a !== undefined && b !== undefined);
  const again = [place({ address: '127.0.0.1:0', engine: 'auto' })];
  const plan = planListeners([a, b], again);
  assert.equal(plan.kept.get(again[0] ?? a), a);
  assert.deepEqual(plan.unwanted, [b]);
});

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
