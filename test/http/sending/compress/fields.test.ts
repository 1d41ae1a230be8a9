import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeaderList, Reply } from '../../../../src/engine/engine.ts';
import { NoBody } from '../../../../src/http/reply-bodies.ts';
import { compressedFields, isCompressible, variedFields } from '../../../../src/http/sending/compress/fields.ts';

const LONG = 'x'.repeat(2000);
const reply = (type: string | undefined, more: Partial<Reply> = {}, fields: HeaderList = []): Reply => ({
  status: 200,
  headers: [...(type === undefined ? [] : [['content-type', type] as const]), ...fields],
  body: LONG,
  ...more,
});

for (const [what, expected, given] of [
  ['HTML', true, reply('text/html; charset=utf-8')],
  ['a type in capitals', true, reply('Text/HTML')],
  ['JSON', true, reply('application/json')],
  ['a JSON of somebody', true, reply('application/vnd.api+json; v=1')],
  ['SVG', true, reply('image/svg+xml')],
  ['JavaScript', true, reply('text/javascript')],
  ['an error page', true, reply('text/html', { status: 404 })],
  ['a body of unknown length', true, reply('text/plain', { body: new NoBody(undefined) })],
  ['an answer to HEAD', true, reply('text/plain', { body: new NoBody(5000) })],
  ['a short text', false, reply('text/plain', { body: 'x'.repeat(1023) })],
  ['a short file', false, reply('text/plain', { body: new NoBody(1023) })],
  ['no body', false, reply('text/plain', { body: undefined })],
  ['no type', false, reply(undefined)],
  ['an event stream', false, reply('text/event-stream')],
  ['an event stream with a charset', false, reply('Text/Event-Stream; charset=utf-8')],
  ['a picture', false, reply('image/png')],
  ['a camera', false, reply('multipart/x-mixed-replace; boundary=x')],
  ['an archive', false, reply('application/zip')],
  ['what is compressed', false, reply('text/html', {}, [['content-encoding', 'br']])],
  ['a part', false, reply('text/html', { status: 206 }, [['content-range', 'bytes 0-1999/4000']])],
  ['not modified', false, reply('text/html', { status: 304 })],
  ['what nobody may change', false, reply('text/html', {}, [['cache-control', 'public, No-Transform']])],
  ['what has a sum', false, reply('text/html', {}, [['content-digest', 'sha-256=:x:']])],
  ['a body that has begun', false, reply('text/html', { opening: Buffer.from('x') })],
] as const)
  test(`${what} is ${expected ? '' : 'not '}compressed`, () => assert.equal(isCompressible(given), expected));

test('a strong tag becomes a weak one, parts are not offered, a cache is told', () => {
  assert.deepEqual(
    compressedFields([
      ['content-type', 'text/html'],
      ['etag', '"a-b"'],
      ['accept-ranges', 'bytes'],
      ['vary', 'Cookie'],
    ]),
    [
      ['content-type', 'text/html'],
      ['etag', 'W/"a-b"'],
      ['vary', 'Cookie'],
      ['content-encoding', 'gzip'],
      ['vary', 'Accept-Encoding'],
    ],
  );
  assert.deepEqual(compressedFields([['etag', 'W/"a"']])[0], ['etag', 'W/"a"']);
});

test('Vary is said once', () => {
  for (const value of ['Accept-Encoding', 'cookie, accept-encoding', '*'])
    assert.deepEqual(variedFields([['vary', value]]), [['vary', value]]);
  assert.equal(variedFields([['vary', 'X-Accept-Encoding']]).length, 2);
});
