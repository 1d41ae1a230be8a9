/** What servers answer, byte for byte, and what is made of it: all that curl reads, and where curl is there it is asked, too. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { UpstreamError } from '../../src/upstream/faults.ts';
import { framingOf } from '../../src/upstream/response-body.ts';
import { HeadReader, MAX_HEAD } from '../../src/upstream/response-head.ts';
import { serverAt, Upstream } from '../../src/upstream/upstream.ts';
import { bodyOf } from '../support/collect.ts';
import { rawServer } from '../support/raw-server.ts';

const CURL = '/usr/bin/curl';
const run = promisify(execFile);

const LENGTH = 'Content-Length: 2\r\n';
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const field = (text: string): string => `HTTP/1.1 200 OK\r\n${text}\r\n${LENGTH}\r\nhi`;
const body = (fields: string, text: string): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${text}`;
const fields = (count: number): string => `X-A: ${'a'.repeat(990)}\r\n`.repeat(count);

/** "hi" with a status of 200 each. `ours`: curl 7.88 does not read it. */
const READ: readonly (readonly [name: string, answer: string, ours?: 'ours'])[] = [
  ['as it should be', body(LENGTH, 'hi')],
  ['LF only, 1.0', 'HTTP/1.0 200 OK\nContent-Type: text/plain\n\nhi'],
  ['LF only, 1.1', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nhi'],
  ['LF only, chunks too', 'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n'],
  ['LF in chunks only', body(CHUNKED, '2\nhi\n0\n\n')],
  ['CRLF, then LF: busybox httpd and echo', 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\n\nhi'],
  ['LF, then CRLF', 'HTTP/1.1 200 OK\nContent-Type: text/plain\nX: y\r\n\r\nhi'],
  ['a folded line', field('X-A: a\r\n  b')],
  ['a folded line, LF', 'HTTP/1.1 200 OK\nX-A: a\n\tb\nContent-Length: 2\n\nhi'],
  ['a control character', field('X-A: a\x01b')],
  ['CR within a value', field('X-A: a\rb')],
  ['CR CR LF', field('X-A: a\r')],
  ['NUL in a value', field('X-A: a\0b'), 'ours'],
  ['bytes beyond ASCII', field('X-A: \xfc')],
  ['a space before the colon', body('Content-Length : 2\r\n', 'hi')],
  ['a space in a name', field('X Y: z')],
  ['no name', field(': z')],
  ['equal lengths', body(LENGTH + LENGTH, 'hi')],
  ['equal lengths in one field', body('Content-Length: 2, 2\r\n', 'hi')],
  ['a length with a sign', body('Content-Length: +2\r\n', 'hi')],
  ['a length in words', body('Content-Length: 2 bytes\r\n', 'hi there')],
  ['a length that is none', body('Content-Length: two\r\n', 'hi'), 'ours'],
  ['an empty length', body('Content-Length:\r\n', 'hi'), 'ours'],
  ['a length below zero', body('Content-Length: -1\r\n', 'hi'), 'ours'],
  ['a length that no number holds', body(`Content-Length: ${'9'.repeat(23)}\r\n`, 'hi')],
  ['a length beside chunks', body(`Content-Length: 99\r\n${CHUNKED}`, '2\r\nhi\r\n0\r\n\r\n')],
  ['two lengths beside chunks', body(`Content-Length: 9\r\nContent-Length: 8\r\n${CHUNKED}`, '2\r\nhi\r\n0\r\n\r\n')],
  ['chunked twice', body(CHUNKED + CHUNKED, '2\r\nhi\r\n0\r\n\r\n')],
  ['identity', body(`Transfer-Encoding: identity\r\n${LENGTH}`, 'hi')],
  ['chunks in HTTP/1.0', `HTTP/1.0 200 OK\r\n${CHUNKED}\r\n2\r\nhi\r\n0\r\n\r\n`],
  ['spaces behind a size', body(CHUNKED, '2  \r\nhi\r\n0\r\n\r\n')],
  ['an extension and a trailer', body(CHUNKED, '2;a=b\r\nhi\r\n0\r\nX: y\r\n\r\n')],
  ['no empty line behind the last chunk', body(CHUNKED, '2\r\nhi\r\n0\r\n'), 'ours'],
  ['lower case', `http/1.1 200 ok\r\n${LENGTH}\r\nhi`],
  ['no reason', `HTTP/1.1 200\r\n${LENGTH}\r\nhi`],
  ['two spaces', `HTTP/1.1  200 OK\r\n${LENGTH}\r\nhi`],
  ['no space', `HTTP/1.1 200OK\r\n${LENGTH}\r\nhi`],
  ['a relayed HTTP/2', `HTTP/2 200\r\n${LENGTH}\r\nhi`],
  ['no minor version', `HTTP/1 200 OK\r\n${LENGTH}\r\nhi`, 'ours'],
  ['empty lines before it', `\r\n\nHTTP/1.1 200 OK\r\n${LENGTH}\r\nhi`, 'ours'],
  ['more than announced', body(LENGTH, 'hi there')],
  ['more than announced, and close', body(`Connection: close\r\n${LENGTH}`, 'hi there')],
  ['up to the end', body('', 'hi')],
  ['100 before it', `HTTP/1.1 100 Continue\r\n\r\n${body(LENGTH, 'hi')}`],
  ['100 before it, LF', `HTTP/1.1 100 Continue\n\n${body(LENGTH, 'hi')}`],
  ['103 and 100 before it', `HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${body(LENGTH, 'hi')}`],
  ['a head of 20 KB', body(fields(20) + LENGTH, 'hi')],
  ['a head of 200 KB', body(fields(200) + LENGTH, 'hi')],
  ['3000 fields', body('X: a\r\n'.repeat(3000) + LENGTH, 'hi')],
];

const REFUSED: readonly (readonly [name: string, answer: string, why: RegExp])[] = [
  ['nothing', '', /^it closed the connection too early, without a response/],
  ['half a head', `HTTP/1.1 200 OK\r\n${LENGTH}`, /^it closed the connection too early, within the head/],
  ['no HTTP', 'hi there\n', /^what it answers is not HTTP, "hi there"/],
  ['no HTTP and no line', 'SSH-2.0-x', /^what it answers is not HTTP, "SSH-2.0-x"/],
  ['no status', 'HTTP/1.1 OK\r\n\r\n', /^what it answers is not HTTP/],
  ['a status of two digits', 'HTTP/1.1 99 OK\r\n\r\n', /^what it answers is not HTTP/],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n', /^what it answers is not HTTP/],
  ['a line without a colon', field('nonsense'), /^what it answers is not HTTP, a field without a colon: "nonsense"/],
  ['a folded first line', field(' X: a'), /^what it answers is not HTTP, its first field/],
  ['two lengths', body(`${LENGTH}Content-Length: 3\r\n`, 'hi'), /^its response has two lengths, 2 and 3/],
  ['another coding', body('Transfer-Encoding: gzip, chunked\r\n', 'hi'), /^its response has a transfer coding that/],
  ['no chunks', body(CHUNKED, 'hi there\r\n'), /^its response has invalid chunks/],
  ['less than announced', body('Content-Length: 20\r\n', 'hi'), /^it closed the connection too early, 18 of 20/],
  ['no last chunk', body(CHUNKED, '2\r\nhi\r\n'), /^it closed the connection too early, its last chunk/],
  ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', /^it switches to a protocol/],
  ['a head without end', body(fields(300), ''), /^the head of its response is too large/],
];

async function ask(port: number): Promise<string> {
  const upstream = new Upstream({ server: serverAt(new URL(`http://127.0.0.1:${port}/`)), maxConnections: 1 });
  const signal = AbortSignal.timeout(20_000);
  try {
    const response = await upstream.ask({ method: 'GET', target: '/', headers: [], body: undefined, signal });
    return `${response.status} ${await bodyOf(response)}`;
  } catch (error) {
    if (error instanceof UpstreamError) return [error.message, error.detail].join(', ');
    throw error;
  } finally {
    upstream.close();
  }
}

for (const [name, answer, ours] of READ)
  test(`read: ${name}`, async (t) => {
    const port = await rawServer(t, () => [answer]);
    assert.equal(await ask(port), '200 hi');
    if (answer.length < 500) assert.equal(await ask(await rawServer(t, () => [...answer])), '200 hi', 'byte by byte');
    if (ours === 'ours' || !existsSync(CURL)) return;
    const arguments_ = ['-sS', '-m', '20', '--noproxy', '*', '-w', '|%{http_code}', `http://127.0.0.1:${port}/`];
    assert.equal((await run(CURL, arguments_)).stdout, 'hi|200', 'curl');
  });

for (const [name, answer, why] of REFUSED)
  test(`refused: ${name}`, async (t) => {
    assert.match(await ask(await rawServer(t, () => [answer])), why);
  });

test('204 and 304 have no body, whatever they announce', async (t) => {
  for (const status of [204, 304])
    assert.equal(
      await ask(await rawServer(t, () => [`HTTP/1.1 ${status} X\r\nContent-Length: 20\r\n\r\n`])),
      `${status} `,
    );
});

test('what fields become', () => {
  const lines =
    'HTTP/1.1 200 OK\r\nX-A:  a\t\r\n  b\r\nx-b : \x01c\0d\re\r\nA(b): x\r\nSet-Cookie: 1\r\nset-cookie: 2\r\nX-E:\r\n\r\n';
  const head = new HeadReader().feed(Buffer.from(lines, 'latin1'))?.head;
  assert.deepEqual(head?.headers, [
    ['x-a', 'a b'],
    ['x-b', 'c d e'],
    ['set-cookie', '1'],
    ['set-cookie', '2'],
    ['x-e', ''],
  ]);
});

test('a connection is kept only when every reader would agree on its answer', () => {
  const kept = (answer: string): boolean => {
    const head = new HeadReader().feed(Buffer.from(answer, 'latin1'))?.head;
    assert.ok(head !== undefined, answer);
    return head.exact && framingOf(head, 'GET').exact;
  };
  const exact = [body(LENGTH, ''), body(CHUNKED, ''), `HTTP/1.0 404\r\n${LENGTH}\r\n`];
  for (const answer of exact) assert.ok(kept(answer), answer);
  const doubtful = READ.filter(([name]) =>
    /^LF only|before the colon|fold|CR |control|name$|equal|sign|words|none|below|holds|beside|twice|case|spaces$|no space|HTTP.2|minor|^empty|^an empty/.test(
      name,
    ),
  );
  assert.ok(doubtful.length > 20);
  for (const [name, answer] of doubtful) assert.ok(!kept(answer), name);
});

test('the bound counts everything before the body', () => {
  const reader = new HeadReader();
  const interim = Buffer.from('HTTP/1.1 103 Hints\r\n\r\n');
  const most = Math.floor(MAX_HEAD / interim.length);
  for (let count = 0; count < most; count++) reader.feed(interim);
  assert.throws(() => reader.feed(interim), UpstreamError);
});
