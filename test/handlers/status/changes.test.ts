/** What of a status is sent again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusChanges } from '../../../src/handlers/status/changes.ts';
import type { GatewayStatus } from '../../../src/ops/status.ts';
import { emptyStatus } from '../../support/gateway-status.ts';

type Message = { now: number; whole: boolean; set: { [name: string]: unknown }; gone: string[] };

const ROUTE = {
  ...{ key: '/', kind: 'static', requests: 0, statuses: {}, rate: 0, aborted: 0, bytesIn: 0, bytesOut: 0, refused: {} },
};
const FAILURE = { route: '/a', pid: 1, time: 0, how: 'exit 1', words: [] };

for (const [what, before, after, set, gone] of [
  ['nothing but the time', {}, { now: 70_000 }, [], []],
  ['the gateway itself', {}, { logDropped: 1 }, ['gateway'], []],
  ['an item that comes', {}, { routes: [ROUTE] }, ['routes static /'], []],
  ['an item that goes', { routes: [ROUTE] }, {}, [], ['routes static /']],
  ['an item that changes', { routes: [ROUTE] }, { routes: [{ ...ROUTE, requests: 1 }] }, ['routes static /'], []],
  [
    'two kinds of one key',
    { routes: [ROUTE, { ...ROUTE, kind: 'stream' }] },
    { routes: [ROUTE, { ...ROUTE, kind: 'stream', requests: 1 }] },
    ['routes stream /'],
    [],
  ],
  ['another order', { routes: [ROUTE, { ...ROUTE, key: '/b' }] }, { routes: [{ ...ROUTE, key: '/b' }, ROUTE] }, [], []],
  ['names of prototypes', {}, { failures: [{ ...FAILURE, route: '__proto__' }] }, ['failures __proto__'], []],
  ['a new failure of a route', { failures: [FAILURE] }, { failures: [{ ...FAILURE, pid: 2 }] }, ['failures /a'], []],
] satisfies readonly (readonly [string, Partial<GatewayStatus>, Partial<GatewayStatus>, string[], string[]])[])
  test(`what is sent: ${what}`, () => {
    const changes = new StatusChanges();
    changes.next({ ...emptyStatus(), ...before });
    const now = { ...emptyStatus(), ...after };
    const message = JSON.parse(changes.next(now)) as Message;
    assert.deepEqual([message.now, message.whole], [now.now, false]);
    assert.deepEqual(Object.keys(message.set), set);
    assert.deepEqual(message.gone, gone);
    // Who joins now gets what somebody else has put together.
    const whole = JSON.parse(changes.whole) as Message;
    assert.deepEqual([whole.now, whole.whole, whole.gone], [now.now, true, []]);
    const all = new StatusChanges();
    assert.deepEqual(whole.set, (JSON.parse(all.next(now)) as Message).set);
  });
