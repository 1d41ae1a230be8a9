/** Where the status page finds a stream. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

type StreamUrl = (
  key: string,
  at: URL,
  listeners: readonly { readonly admin: boolean; readonly url: string }[],
  pages: readonly string[],
) => string | undefined;

const PATH = fileURLToPath(new URL('../../../src/browser/status/addresses.js', import.meta.url));
const open = (url: string) => ({ admin: false, url });
const admin = (url: string) => ({ admin: true, url });
const BOARD = [open('unix:x.sock'), open('http://localhost:8080/'), admin('http://localhost:9180/')];

for (const [title, key, at, listeners, pages, expected] of [
  ["the operator's address", '/live', 'http://board:9180/', BOARD, [], 'http://board:8080/live'],
  ['a key with a host', 'a.test/live', 'http://board:9180/', BOARD, [], 'http://a.test:8080/live'],
  ['a host with a pattern', '*.a.test/live', 'http://board:9180/', BOARD, [], undefined],
  ['a key with signs of its own', '/a?b#c', 'http://board:9180/', BOARD, [], 'http://board:8080/a%3Fb%23c'],
  [
    'loopback only, seen from elsewhere',
    '/live',
    'http://board:9180/',
    [open('http://127.0.0.1:8080/'), admin('http://localhost:9180/')],
    [],
    undefined,
  ],
  ['no port at all', '/live', 'http://board:9180/', [open('unix:x.sock')], [], undefined],
  ['a route', '/live', 'https://board/ops/', BOARD, ['/ops/'], 'https://board/live'],
  ['a route behind a prefix', '/live', 'https://board/runnel/ops/', BOARD, ['/', '/ops/'], 'https://board/runnel/live'],
  ['a route and the operator', '/live', 'http://board:9180/', BOARD, ['/'], 'http://board:8080/live'],
] as const)
  test(`a stream's address: ${title}`, async () => {
    const { streamUrl } = (await import(PATH)) as { streamUrl: StreamUrl };
    assert.equal(streamUrl(key, new URL(at), listeners, pages), expected);
  });
