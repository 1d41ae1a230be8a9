import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceLine } from '../../../src/gateway/operating/service-line.ts';
import { Tallies } from '../../../src/ops/tallies.ts';

test('listeners, streams, clients and a reload that failed', () => {
  const tallies = new Tallies();
  assert.equal(serviceLine([':80'], 0, tallies, undefined), ':80');
  assert.equal(serviceLine([':80', '[::1]:81'], 2, tallies, undefined), ':80, [::1]:81; 2 streams, 0 clients');
  tallies.clients.add(1, '/live');
  assert.equal(
    serviceLine([':80'], 1, tallies, '1 problem'),
    ':80; 1 stream, 1 client; the last reload failed: 1 problem',
  );
  // The status page's own stream is nobody's viewer.
  tallies.clients.add(3, 'status');
  assert.equal(serviceLine([':80'], 1, tallies, undefined), ':80; 1 stream, 1 client');
});
