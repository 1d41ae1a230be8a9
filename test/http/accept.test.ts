import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asksForHtml, chooseCoding, listField, mediaWeight } from '../../src/http/accept.ts';

test('the coding of a file that lies there in br, zstd and gzip', async (t) => {
  const cases: readonly (readonly [field: string | undefined, chosen: string | undefined])[] = [
    [undefined, undefined],
    ['', undefined],
    ['gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['gzip, deflate', 'gzip'],
    ['gzip, deflate, br', 'br'],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip, zstd', 'zstd'],
    ['deflate', undefined],
    ['identity', undefined],
    ['*', 'br'],
    ['*;q=0', undefined],
    ['*;q=0.5', 'br'],
    ['br;q=0, *', 'zstd'],
    ['br;q=0, zstd;q=0, *;q=0.1', 'gzip'],
    ['gzip;q=1, br;q=0.5', 'gzip'],
    ['gzip;q=0.5, br;q=0.501', 'br'],
    ['gzip ; q=0.5 , br ; q=0.4', 'gzip'],
    ['gzip;level=9;q=0.5, br;\tq=0.4\t', 'gzip'],
    ['gzip;q= 1', undefined],
    ['gzip;q=0', undefined],
    ['gzip;q=0.000', undefined],
    ['gzip;q=0.001', 'gzip'],
    ['gzip;q=2', undefined],
    ['gzip;q=0.1234', undefined],
    ['gzip;q=x', undefined],
    ['gzip;q=', undefined],
    ['gzip;Q=0', undefined],
    ['identity;q=1, *;q=0', undefined], // what Chromium sends for sound and film
    ['identity, gzip', 'gzip'],
    ['identity;q=0.9, gzip;q=0.9', 'gzip'],
    ['identity;q=1, gzip;q=0.5', undefined],
    ['identity;q=0.5, gzip;q=1.0', 'gzip'],
    ['identity;q=0', undefined],
    ['identity;q=0, gzip;q=0.1', 'gzip'],
    ['gzip,,br', 'br'],
    ['brotli', undefined],
    ['gzip=1', undefined],
    [', ,', undefined],
  ];
  for (const [field, chosen] of cases)
    await t.test(String(field), () => assert.equal(chooseCoding(field, ['br', 'zstd', 'gzip']), chosen));
  assert.equal(chooseCoding('br, gzip', ['gzip']), 'gzip');
  assert.equal(chooseCoding('br', []), undefined);
});

test('how much a media type is wanted', async (t) => {
  const cases: readonly (readonly [field: string | undefined, html: number, json: number])[] = [
    [undefined, 1, 1],
    ['*/*', 1, 1],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', 1, 0.8],
    ['application/json', 0, 1],
    ['application/json, text/html;q=0.5', 0.5, 1],
    ['text/*;q=0.3, */*;q=0.1', 0.3, 0.1],
    ['text/html;level=1;q=0.4, text/*', 0.4, 0],
    ['text/html;q=0, */*', 0, 1],
    ['TEXT/HTML', 1, 0],
    ['text/plain', 0, 0],
    ['nonsense', 0, 0],
    ['', 0, 0],
  ];
  for (const [field, html, json] of cases) {
    await t.test(String(field), () => {
      assert.deepEqual([mediaWeight(field, 'text/html'), mediaWeight(field, 'application/json')], [html, json]);
    });
  }
});

test('who gets errors as pages', () => {
  const asks = (accept: string): boolean => asksForHtml([['accept', accept]]);
  assert.equal(asksForHtml([]), false);
  assert.equal(asks('*/*'), false);
  assert.equal(asks('application/json'), false);
  assert.equal(asks('text/html;q=0, */*'), false);
  assert.equal(asks('text/html,*/*;q=0.8'), true);
});

test('a repeated field is one list', () => {
  const headers = [['accept', 'a/b'], ['x', 'y'], ['accept', 'c/d']] as const; // biome-ignore format: one line
  assert.equal(listField(headers, 'accept'), 'a/b,c/d');
  assert.equal(listField(headers, 'z'), undefined);
});
