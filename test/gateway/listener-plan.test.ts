import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListenerConfig } from '../../src/config/keys/listen.ts';
import { parseAddress } from '../../src/config/values/simple.ts';
import { mayClash, planListeners } from '../../src/gateway/listener-plan.ts';

function address(text: string): ListenerConfig['address'] {
  const parsed = parseAddress(text, '/run');
  assert(parsed !== undefined);
  return parsed;
}

const ADDRESSES: readonly [string, string, boolean][] = [
  ['127.0.0.1:80', ':80', true],
  ['127.0.0.1:80', '127.0.0.1:81', false],
  ['127.0.0.1:0', '127.0.0.1:0', false],
  ['unix:/run/a', 'unix:a', true],
  ['unix:/run/a', ':80', false],
  ['systemd:a', 'systemd:a', true],
  ['systemd:a', 'systemd:b', false],
];
for (const [a, b, expected] of ADDRESSES)
  test(`${a} and ${b}: ${expected ? 'only one can be open' : 'both can be open'}`, () =>
    assert.equal(mayClash(address(a), address(b)), expected));

type Listen = Pick<ListenerConfig, 'engine'> & {
  readonly address: string;
  readonly redirect?: ListenerConfig['redirect'];
};
function spec({ address: text, engine, redirect }: Listen, admin = false) {
  return { admin, listen: { address: address(text), engine, redirect, tls: undefined } };
}

test('a listener whose WebSockets may be compressed from now on is opened anew in the same place', () => {
  const plain = spec({ address: ':80', engine: 'auto' });
  const deflating = { ...spec({ address: ':80', engine: 'auto' }), deflates: true };
  for (const [open, wanted] of [
    [plain, deflating],
    [deflating, plain],
  ] as const)
    assert.deepEqual(planListeners([open], [wanted]).opening, [{ wanted, inTheWay: [open], before: open }]);
  assert.equal(planListeners([deflating], [{ ...deflating }]).opening.length, 0);
});

test('listeners: what stays, what is opened, and in which order', () => {
  const a = spec({ address: ':80', engine: 'auto' });
  const b = spec({ address: '127.0.0.1:81', engine: 'auto' });
  const c = spec({ address: ':82', engine: 'auto' });
  const inherited = spec({ address: 'systemd:web', engine: 'auto' });
  const metrics = spec({ address: ':90', engine: 'node' }, true);
  const wanted = {
    a: spec({ address: ':80', engine: 'auto', redirect: { scheme: 'https', port: 443 } }),
    b: spec({ address: ':81', engine: 'auto' }),
    inherited: spec({ address: 'systemd:web', engine: 'node' }),
    metrics: spec({ address: ':90', engine: 'node' }),
    fresh: spec({ address: ':83', engine: 'auto' }),
  };
  const plan = planListeners([a, b, c, inherited, metrics], Object.values(wanted));
  assert.deepEqual([...plan.kept], [[wanted.a, a]]);
  assert.deepEqual(plan.opening, [
    { wanted: wanted.fresh, inTheWay: [], before: undefined },
    { wanted: wanted.b, inTheWay: [b], before: undefined },
    // Handed over by systemd once: only its socket can go on.
    { wanted: wanted.inherited, inTheWay: [inherited], before: inherited },
    // The operator's own has become everybody's: another listener.
    { wanted: wanted.metrics, inTheWay: [metrics], before: metrics },
  ]);
  assert.deepEqual(plan.unwanted, [b, c, inherited, metrics]);
});

test('a listener that expects another beginning is another one', () => {
  const open = spec({ address: ':80', engine: 'node' });
  const wanted = { ...open, listen: { ...open.listen, proxy_protocol: true } };
  assert.deepEqual(planListeners([open], [wanted]).opening, [{ wanted, inTheWay: [open], before: open }]);
  const said = { ...open, listen: { ...open.listen, proxy_protocol: false } };
  assert.equal(planListeners([open], [said]).kept.get(said), open);
});

test('a socket with another owner or other permissions is another one', () => {
  const open = spec({ address: 'unix:/run/a', engine: 'auto' });
  for (const key of [{ mode: 0o660 }, { owner: 'ann' }, { group: 'http' }]) {
    const wanted = { ...open, listen: { ...open.listen, ...key } };
    assert.deepEqual(planListeners([open], [wanted]).opening, [{ wanted, inTheWay: [open], before: undefined }]);
    const again = { ...open, listen: { ...open.listen, ...key } };
    assert.equal(planListeners([wanted], [again]).kept.get(again), wanted);
  }
});

test('two listeners on ports of the system are two', () => {
  const [a, b] = [0, 1].map(() => spec({ address: '127.0.0.1:0', engine: 'auto' }));
  assert(a !== undefined && b !== undefined);
  const again = [spec({ address: '127.0.0.1:0', engine: 'auto' })];
  const plan = planListeners([a, b], again);
  assert.equal(plan.kept.get(again[0] ?? a), a);
  assert.deepEqual(plan.unwanted, [b]);
});
