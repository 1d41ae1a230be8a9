/** Ids of requests and traces that others have given. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRequestId, traceIdOf } from '../../src/net/tracing.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

for (const [text, trace] of [
  [`00-${TRACE}-00f067aa0ba902b7-01`, TRACE],
  [`00-${TRACE}-00f067aa0ba902b7-00`, TRACE],
  [`cc-${TRACE}-00f067aa0ba902b7-01-what-comes-later`, TRACE],
  [`00-${TRACE}-00f067aa0ba902b7-01-more`, undefined],
  [`ff-${TRACE}-00f067aa0ba902b7-01`, undefined],
  [`00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, undefined],
  [`00-${TRACE}-0000000000000000-01`, undefined],
  [`00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`, undefined],
  [`00-${TRACE}-00f067aa0ba902b7`, undefined],
  [`00-${TRACE}-00f067aa0ba902b7-01\n`, undefined],
  ['', undefined],
] as const)
  test(`traceparent ${JSON.stringify(text)}`, () => assert.equal(traceIdOf(text), trace));

test('ids of requests', () => {
  for (const id of ['a', '7f000001-1', 'c0ffee12-3456-7890-abcd-ef1234567890', 'A+b/c==', 'x'.repeat(128)])
    assert.equal(isRequestId(id), true, id);
  for (const id of ['', 'a b', 'a"b', "a'b", 'a\x1b', 'a\n', 'é', '<a>', 'x'.repeat(129)])
    assert.equal(isRequestId(id), false, id);
});
