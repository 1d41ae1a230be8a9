/** CGI headers (RFC 3875 section 6), each fed whole, split at every position, and byte by byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CgiHeader, CgiOutputError, type CgiResponse } from '../../../src/handlers/cgi/output.ts';

const MAX = 64 * 1024;

/** What comes out of an output that arrives in these pieces: the response and the document, or why not. */
function read(pieces: readonly Buffer[]): { response: CgiResponse; body: string } | string {
  const header = new CgiHeader(MAX);
  for (const [index, piece] of pieces.entries()) {
    try {
      const found = header.feed(piece);
      if (found) {
        const body = Buffer.concat([found.rest, ...pieces.slice(index + 1)]).toString('latin1');
        return { response: found.response, body };
      }
    } catch (error) {
      if (error instanceof CgiOutputError) return error.message;
      throw error;
    }
  }
  return header.end().message;
}

type Headers = readonly (readonly [string, string])[];
interface Expected {
  readonly status?: number;
  readonly reason?: string;
  readonly headers?: Headers;
  readonly length?: number;
  readonly body?: string;
  readonly local?: string;
  readonly error?: RegExp;
}

const HTML: Headers = [['content-type', 'text/html']];
const CASES: readonly (readonly [name: string, output: string, expected: Expected])[] = [
  ['LF', 'Content-Type: text/html\n\nhi', { headers: HTML, body: 'hi' }],
  ['CRLF', 'Content-Type: text/html\r\n\r\nhi', { headers: HTML, body: 'hi' }],
  ['LF, then CRLF', 'Content-Type: text/html\n\r\nhi', { headers: HTML, body: 'hi' }],
  ['CRLF, then LF', 'Content-Type: text/html\r\n\nhi', { headers: HTML, body: 'hi' }],
  [
    'a document that starts with an empty line',
    'Content-Type: text/html\n\n\r\n\nhi',
    { headers: HTML, body: '\r\n\nhi' },
  ],
  ['no document', 'Content-Type: text/html\n\n', { headers: HTML, body: '' }],
  ['any case', 'cOnTeNt-TyPe: text/html\n\n', { headers: HTML }],
  ['no space after the colon', 'Content-Type:text/html\n\n', { headers: HTML }],
  ['white space around', 'Content-Type  : \t text/html \t \n\n', { headers: HTML }],
  ['an empty value', 'X-Empty:\n\n', { headers: [['x-empty', '']] }],
  ['a colon in a value', 'X-Time: 10:20\n\n', { headers: [['x-time', '10:20']] }],
  ['a folded line', 'X-Long: a\n  b\r\n\tc\n\n', { headers: [['x-long', 'a b c']] }],
  ['an empty header', '\nhi', { headers: [], body: 'hi' }],
  ['an empty header with CRLF', '\r\nhi', { headers: [], body: 'hi' }],
  ['Content-Type twice', 'Content-Type: text/plain\nContent-type: text/html\n\n', { headers: HTML }],
  ['bytes beyond ASCII', 'X-A: \xfc\xc3\xa9\n\n', { headers: [['x-a', '\xfc\xc3\xa9']] }],
  [
    'Set-Cookie many times',
    'Set-Cookie: a=1\nSet-Cookie: b=2\nSet-Cookie: a=1\n\n',
    { headers: [['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['set-cookie', 'a=1']] }, // biome-ignore format: one row
  ],
  // Status (section 6.3.3)
  ['Status without a reason', 'Status: 404\n\n', { status: 404 }],
  ['Status with a reason', 'Status: 404 Not  Here\n\n', { status: 404, reason: 'Not  Here' }],
  ['Status with spaces only', 'Status: 404   \n\n', { status: 404 }],
  ['Status last', 'Content-Type: text/html\nstatus: 500 Oops\n\n', { status: 500, reason: 'Oops', headers: HTML }],
  ['Status twice', 'Status: 500\nStatus: 404 No\n\n', { status: 404, reason: 'No' }],
  [
    'a status line',
    'HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n',
    { status: 403, reason: 'Forbidden', headers: HTML },
  ],
  ['a status line later', 'X: y\nHTTP/1.1 403 Forbidden\n\n', { error: /no colon|not a header field/ }],
  ['Status with a colon', 'Status: 404: Not Found\n\n', { status: 404, reason: 'Not Found' }],
  ['Status without a space', 'Status: 404Gone\n\n', { status: 404, reason: 'Gone' }],
  ['Status with its HTTP', 'Status: HTTP/1.1 404 Not Found\n\n', { status: 404, reason: 'Not Found' }],
  ['Status 699', 'Status: 699\n\n', { status: 699 }],
  ['Status 999', 'Status: 999 Blocked\n\n', { status: 999, reason: 'Blocked' }],
  ['a relayed HTTP/2', 'HTTP/2 201\r\nX: y\r\n\r\nhi', { status: 201, headers: [['x', 'y']], body: 'hi' }],
  ['a relayed HTTP/2 and spaces', 'HTTP/2 200 \n\nhi', { status: 200, body: 'hi' }],
  ['HTTP/3', 'HTTP/3 404\n\n', { status: 404 }],
  [
    'interim heads before it',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\nLink: x\n\nHTTP/1.1 200 OK\nX: y\n\nhi',
    { status: 200, reason: 'OK', headers: [['x', 'y']], body: 'hi' },
  ],
  ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\n\n', { error: /not a status/ }],
  ['only an interim head', 'HTTP/1.1 100 Continue\n\n', { error: /ended before/ }],
  ['Status of an interim response', 'Status: 100 Continue\n\n', { error: /not a status/ }],
  ['Status 101', 'Status: 101\n\n', { error: /not a status/ }],
  ['Status of two digits', 'Status: 40\n\n', { error: /not a status/ }],
  ['Status of four digits', 'Status: 4040\n\n', { error: /not a status/ }],
  ['Status with a word', 'Status: OK\n\n', { error: /not a status/ }],
  ['Status empty', 'Status:\n\n', { error: /not a status/ }],
  // Location (section 6.3.2)
  ['a local redirect', 'Location: /a/b?c=d\n\n', { local: '/a/b?c=d' }],
  ['a local path with a type', 'Content-Type: text/html\nLocation: /a\n\nhi', { status: 302, headers: [['location', '/a'], ...HTML], body: 'hi' }], // biome-ignore format: one row
  ['a local path with a length', 'Location: /a\nContent-Length: 0\n\n', { status: 302, headers: [['location', '/a']], length: 0 }], // biome-ignore format: one row
  ['a local path with a Status', 'Location: /a\nStatus: 200\n\n', { status: 200, headers: [['location', '/a']] }],
  ['a local path twice', 'Location: /b\nLocation: /a\n\n', { status: 302, headers: [['location', '/a']] }],
  ['a local redirect with a space', 'Location: /a b\xe9\n\n', { local: '/a%20b%E9' }],
  ['a local redirect with a cookie', 'Set-Cookie: a=1\nLocation: /a\n\n', { status: 302, headers: [['set-cookie', 'a=1'], ['location', '/a']] }], // biome-ignore format: one row
  ['a local path with a fragment', 'Location: /a#b\n\n', { status: 302, headers: [['location', '/a#b']] }],
  ['another host, without scheme', 'Location: //other/a\n\n', { status: 302, headers: [['location', '//other/a']] }],
  ['absolute', 'Location: http://other/a\n\n', { status: 302, headers: [['location', 'http://other/a']] }],
  ['relative', 'Location: b.html\n\n', { status: 302, headers: [['location', 'b.html']] }],
  [
    'local with a status',
    'Status: 301 Moved\nLocation: /a\n\n',
    { status: 301, reason: 'Moved', headers: [['location', '/a']] },
  ],
  ['absolute with a status and a document', 'Status: 307\nLocation: http://other/\nContent-Type: text/html\n\nhi', { status: 307, headers: [['location', 'http://other/'], ...HTML], body: 'hi' }], // biome-ignore format: one row
  ['Location with 201', 'Status: 201\nLocation: /made/1\n\n', { status: 201, headers: [['location', '/made/1']] }],
  ['Location empty', 'Location:\nContent-Type: text/html\n\n', { headers: HTML }],
  // What is not forwarded
  [
    'fields of the connection',
    'Connection: close, X-Hop\nKeep-Alive: 5\nTransfer-Encoding: chunked\nUpgrade: h2c\nTrailer: x\nTE: trailers\nX-Hop: 1\nProxy-Connection: x\nDate: now\nServer: x\nX-Kept: 1\n\n',
    { headers: [['x-kept', '1']] },
  ],
  ['Content-Length', 'Content-Length: 5\n\nhello', { headers: [], length: 5, body: 'hello' }],
  ['Content-Length twice the same', 'Content-Length: 5\nContent-Length: 5\n\n', { length: 5 }],
  ['Content-Length twice', 'Content-Length: 5\nContent-Length: 6\n\n', {}],
  ['Content-Length that is no number', 'Content-Length: 5, 5\n\n', {}],
  ['Content-Length negative', 'Content-Length: -5\n\n', {}],
  ['Content-Length hexadecimal', 'Content-Length: 0x5\n\n', {}],
  ['Content-Length huge', 'Content-Length: 99999999999999999999\n\n', {}],
  // What is refused
  ['nothing', '', { error: /nothing/ }],
  ['plain text', 'hello world\n\n', { error: /no colon: "hello world"/ }],
  ['HTML', '<html><a href="x:y">\n\n', { error: /not a header field/ }],
  ['half a header', 'Content-Type: text/html\n', { error: /ended before/ }],
  ['half a line', 'Content-', { error: /ended before/ }],
  ['a space in a name', 'Content Type: text/html\n\n', { error: /not a header field/ }],
  ['no name', ': x\n\n', { error: /not a header field/ }],
  ['NUL in a value', 'X: a\0b\n\n', { error: /control character/ }],
  ['NUL in a name', 'X\0: a\n\n', { error: /control character/ }],
  ['CR in a value', 'X: a\rSet-Cookie: b\n\n', { error: /control character/ }],
  ['CR CR LF', 'X: a\r\r\n\n', { error: /control character/ }],
  ['DEL in a value', 'X: \x7f\n\n', { error: /control character/ }],
  ['a folded first line', ' X: a\n\n', { error: /white space/ }],
  ['a header of 1 MB', `X: ${'a'.repeat(1 << 20)}\n\n`, { error: /longer than 65536/ }],
  ['a million short fields', 'X: a\n'.repeat(100_000), { error: /longer than 65536/ }],
];

test('headers, split everywhere', async (t) => {
  for (const [name, output, expected] of CASES) {
    await t.test(name, () => {
      const bytes = Buffer.from(output, 'latin1');
      check(read([bytes]), expected);
      if (bytes.length > 1000) return;
      for (let at = 0; at <= bytes.length; at++) check(read([bytes.subarray(0, at), bytes.subarray(at)]), expected);
      check(read([...bytes].map((byte) => Buffer.from([byte]))), expected);
    });
  }
});

function check(result: ReturnType<typeof read>, expected: Expected): void {
  if (expected.error) {
    assert.equal(typeof result, 'string', JSON.stringify(result));
    assert.match(String(result), expected.error);
    return;
  }
  assert.ok(typeof result !== 'string', String(result));
  const { response, body } = result;
  if (expected.local !== undefined) {
    assert.deepEqual(response, { kind: 'local-redirect', target: expected.local });
    return;
  }
  assert.equal(response.kind, 'document');
  if (response.kind !== 'document') return;
  assert.deepEqual([response.status, response.reason], [expected.status ?? 200, expected.reason]);
  assert.deepEqual(response.headers, expected.headers ?? []);
  assert.equal(response.length, expected.length);
  assert.equal(body, expected.body ?? '');
}

test('the bound is on the header alone', () => {
  const header = new CgiHeader(20);
  const found = header.feed(Buffer.from(`X: a\n\n${'b'.repeat(1000)}`));
  assert.equal(found?.rest.length, 1000);
  const exact = new CgiHeader(6);
  assert.ok(exact.feed(Buffer.from('X: a\n\n')));
  assert.throws(() => new CgiHeader(5).feed(Buffer.from('X: a\n\n')), CgiOutputError);
});
