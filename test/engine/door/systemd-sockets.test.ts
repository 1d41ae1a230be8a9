import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inheritedDescriptor } from '../../../src/engine/door/systemd-sockets.ts';

const LISTEN_PID = String(process.pid);

test('a socket is found by its name', () => {
  const environment = { LISTEN_PID, LISTEN_FDS: '2', LISTEN_FDNAMES: 'http:admin' };
  assert.equal(inheritedDescriptor('systemd:http', 'http', environment), 3);
  assert.equal(inheritedDescriptor('systemd:admin', 'admin', environment), 4);
});

test('the only socket is taken when it has no name', () => {
  for (const names of [{}, { LISTEN_FDNAMES: '' }])
    assert.equal(inheritedDescriptor('systemd:http', 'http', { LISTEN_PID, LISTEN_FDS: '1', ...names }), 3);
});

test('one that is not there, or is there twice, is refused with what is there', () => {
  const cases: readonly [{ [name: string]: string }, RegExp][] = [
    [{}, /systemd passed no socket; check that the socket unit exists/],
    [{ LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' }, /no socket/],
    [{ LISTEN_PID, LISTEN_FDS: '0' }, /no socket/],
    [{ LISTEN_PID, LISTEN_FDS: '-1' }, /no socket/],
    [{ LISTEN_PID, LISTEN_FDS: '2' }, /2 sockets were passed without names/],
    [{ LISTEN_PID, LISTEN_FDS: '1', LISTEN_FDNAMES: 'web' }, /no socket of that name; write "systemd:web"$/],
    [{ LISTEN_PID, LISTEN_FDS: '2', LISTEN_FDNAMES: 'unknown' }, /passed unknown, unknown, but/],
    [{ LISTEN_PID, LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b' }, /passed a, b, but no socket of that name/],
    [{ LISTEN_PID, LISTEN_FDS: '2', LISTEN_FDNAMES: 'http:http' }, /2 sockets of that name/],
  ];
  for (const [environment, message] of cases)
    assert.throws(() => inheritedDescriptor('systemd:http', 'http', environment), { name: 'ListenError', message });
});
