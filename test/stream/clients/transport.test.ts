import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lastEventId, streamQuery, transportOf } from '../../../src/stream/clients/transport.ts';

describe('the last id that an event stream has', () => {
  const cases: readonly (readonly [query: string | undefined, field: string | undefined, id: string | undefined])[] = [
    [undefined, undefined, undefined],
    ['', '', undefined],
    [undefined, 'a-1', 'a-1'],
    ['lastEventId=a-1', undefined, 'a-1'],
    ['last-event-id=a-1', undefined, 'a-1'],
    ['Last-Event-ID=a-1', undefined, 'a-1'],
    ['evs_last_event_id=a-1', undefined, 'a-1'],
    ['lastEventId=', undefined, undefined],
    ['x=1&lastEventId=a%2D1', undefined, 'a-1'],
    ['lastEventId=a-1', 'a-2', 'a-2'],
    ['lastEventId=end', '', 'end'],
  ];
  for (const [query, field, id] of cases)
    test(`${query} and ${field}`, () =>
      assert.equal(lastEventId({ query, headers: field === undefined ? [] : [['last-event-id', field]] }), id));
});

test("what is the gateway's own does not tell streams apart", () => {
  assert.equal(
    streamQuery('a=1&lastEventId=x-1&client=c1&session=2&b=2&last-event-id=&evs_last_event_id=7&transport=poll'),
    'a=1&b=2',
  );
});

describe('the transport of a GET', () => {
  const cases: readonly (readonly [query: string | undefined, name: string, value: string, transport: string])[] = [
    [undefined, 'accept', '*/*', 'plain'],
    [undefined, 'accept', 'text/event-stream', 'events'],
    [undefined, 'accept', 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8', 'parts'],
    [undefined, 'accept', 'text/html,application/xhtml+xml,image/avif,image/webp,*/*;q=0.8', 'plain'],
    [undefined, 'sec-fetch-dest', 'image', 'parts'],
    [undefined, 'sec-fetch-dest', 'document', 'plain'],
    ['transport=parts', 'accept', '*/*', 'parts'],
    ['transport=last', 'accept', 'image/*', 'last'],
    ['transport=history', 'accept', 'image/*', 'lookup'],
    ['transport=poll', 'accept', 'image/*', 'long-poll'],
    ['transport=nothing', 'accept', 'image/*', 'parts'],
  ];
  for (const [query, name, value, transport] of cases)
    test(`${query} with ${name}: ${value}`, () =>
      assert.equal(transportOf('GET', query, [[name, value]], false), transport));
});
