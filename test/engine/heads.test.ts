import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeaderList } from '../../src/engine/engine.ts';
import { readFacts, readOpening, splitTarget } from '../../src/engine/heads.ts';
import { cutReason, sendableCode } from '../../src/engine/socket-rules.ts';

const host = ['host', 'a'] as const;

test('readFacts: framing', () => {
  const rows: readonly (readonly [
    HeaderList,
    '1.0' | '1.1',
    string | readonly [number | undefined, boolean, boolean],
  ])[] = [
    [[host], '1.1', [undefined, false, false]],
    [[], '1.0', [undefined, false, false]],
    [[], '1.1', 'no Host'],
    [[host, host], '1.1', 'more than one Host'],
    [[host, ['content-length', '0']], '1.1', [0, false, false]],
    [[host, ['content-length', '007']], '1.1', [7, false, true]],
    [[host, ['content-length', '']], '1.1', 'a Content-Length that is not a number'],
    [[host, ['content-length', '0x1']], '1.1', 'a Content-Length that is not a number'],
    [[host, ['content-length', '9999999999999999']], '1.1', 'a Content-Length that is not a number'],
    [[host, ['transfer-encoding', 'Chunked']], '1.1', [undefined, true, true]],
    [[host, ['transfer-encoding', 'chunked']], '1.0', 'Transfer-Encoding in HTTP/1.0'],
    [[host, ['transfer-encoding', 'chunked, chunked']], '1.1', 'a Transfer-Encoding other than chunked'],
    [[host, ['transfer-encoding', 'chunked'], ['content-length', '1']], '1.1', 'Content-Length and Transfer-Encoding'],
  ];
  for (const [headers, version, expected] of rows) {
    const facts = readFacts(headers, version);
    const seen = typeof facts === 'string' ? facts : [facts.contentLength, facts.chunked, facts.hasBody];
    assert.deepEqual(seen, expected, JSON.stringify(headers));
  }
});

test('readFacts: what asks for an upgrade', () => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['websocket', 'Upgrade', true],
    ['h2c, WebSocket', 'keep-alive, upgrade', true],
    ['h2c', 'Upgrade', false],
    ['websocket', 'keep-alive', false],
    ['websockets', 'Upgrade', false],
  ];
  for (const [upgrade, connection, expected] of rows) {
    const facts = readFacts([host, ['upgrade', upgrade], ['connection', connection]], '1.1');
    assert(typeof facts === 'object');
    assert.equal(facts.asksUpgrade, expected, `${upgrade} ${connection}`);
  }
});

test('readOpening: protocols in order, without repeats', () => {
  const opening = readOpening(
    [
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
      ['sec-websocket-protocol', 'b, a'],
      ['sec-websocket-protocol', ' a ,,c'],
    ],
    false,
  );
  assert(opening.refused === undefined);
  assert.deepEqual(opening.handshake.protocols, ['b', 'a', 'c']);
});

test('splitTarget', () => {
  const rows: readonly (readonly [
    string,
    string,
    readonly [string, string | undefined, string | undefined] | undefined,
  ])[] = [
    ['/', 'GET', ['/', undefined, undefined]],
    ['/a?b?c', 'GET', ['/a', 'b?c', undefined]],
    ['/a?', 'GET', ['/a', '', undefined]],
    ['//x//y', 'GET', ['//x//y', undefined, undefined]],
    ['*', 'OPTIONS', ['*', undefined, undefined]],
    ['http://a:80/b?c', 'GET', ['/b', 'c', 'a:80']],
    ['HTTPS://a', 'GET', ['/', undefined, 'a']],
    ['http://a?b', 'GET', ['/', 'b', 'a']],
    ['http://a', 'OPTIONS', ['*', undefined, 'a']],
    ['http://', 'GET', undefined],
    ['ftp://a/', 'GET', undefined],
    ['a', 'GET', undefined],
    ['', 'GET', undefined],
    ['/a b', 'GET', undefined],
    ['/\xe9?\xff', 'GET', ['/\xe9', '\xff', undefined]],
    ['/\u0142', 'GET', undefined],
    ['/\x7f', 'GET', undefined],
  ];
  for (const [target, method, expected] of rows) {
    const split = splitTarget(target, method);
    assert.deepEqual(split && [split.path, split.query, split.authority], expected, target);
  }
});

test('close codes and reasons', () => {
  const rows: readonly (readonly [number, number | undefined])[] = [
    [1000, 1000],
    [1005, undefined],
    [1004, 1011],
    [1006, 1011],
    [1014, 1014],
    [1015, 1011],
    [2999, 1011],
    [3000, 3000],
    [4999, 4999],
    [5000, 1011],
    [0, 1011],
    [1000.5, 1011],
  ];
  for (const [code, expected] of rows) assert.equal(sendableCode(code), expected, String(code));
  assert.equal(cutReason('short'), 'short');
  assert.equal(cutReason('x'.repeat(124)), 'x'.repeat(123));
  assert.equal(cutReason('€'.repeat(42)), '€'.repeat(41));
  assert.equal(cutReason(`x${'€'.repeat(41)}`), `x${'€'.repeat(40)}`);
});
