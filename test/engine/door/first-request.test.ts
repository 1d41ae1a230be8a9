import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type FirstRequest, judgeFirstRequest } from '../../../src/engine/door/first-request.ts';
import type { Exchange, Request } from '../../../src/engine/engine.ts';
import { Chance, mutated } from '../../fuzz/mutate.ts';
import { inTurns } from '../../support/many.ts';
import { rawRequest } from '../../support/raw.ts';
import { MAX_HEADER_BYTES, Trial, text } from '../../support/trial.ts';

/** Larger than any head here: what is behind the bytes that have come is of another connection. */
const BUFFER = Buffer.alloc(64 * 1024);
const HOST = 'Host: board.test\r\n';
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const SWITCH = 'Upgrade: websocket\r\nConnection: Upgrade\r\n';
const OFFER = `Sec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n`;

function judge(bytes: Buffer | string, maxHeaderBytes = MAX_HEADER_BYTES): FirstRequest {
  const given = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  BUFFER.fill('\r\nGET / HTTP/1.0\r\n\r\n');
  given.copy(BUFFER);
  return judgeFirstRequest(BUFFER, given.length, maxHeaderBytes);
}

function head(line: string, fields: string): string {
  return `${line}\r\n${HOST}${fields}\r\n`;
}

/** A GET with these fields. */
function get(fields: string): string {
  return head('GET / HTTP/1.1', fields);
}

/** As the programs were seen to send them. */
const CLIENTS: readonly (readonly [name: string, bytes: string])[] = [
  ['curl', 'GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n'],
  ['curl -I', 'HEAD /a HTTP/1.1\r\nHost: board\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n'],
  [
    'curl -d',
    'POST /a HTTP/1.1\r\nHost: board\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nContent-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=b',
  ],
  ['wrk', 'GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n'],
  [
    "Python's requests",
    'GET / HTTP/1.1\r\nHost: board\r\nUser-Agent: python-requests/2.28.1\r\nAccept-Encoding: gzip, deflate, br\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n',
  ],
  [
    "Python's urllib",
    'GET /?a=b HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: board:8080\r\nUser-Agent: Python-urllib/3.11\r\nConnection: close\r\n\r\n',
  ],
  [
    'Go',
    'POST / HTTP/1.1\r\nHost: board\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 2\r\nContent-Type: text/plain\r\nAccept-Encoding: gzip\r\n\r\nhi',
  ],
  [
    'Chromium',
    'GET /a/b.html?c=%20d HTTP/1.1\r\nHost: board\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\nsec-ch-ua: "Chromium";v="131", "Not_A Brand";v="24"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: "Linux"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: a=b; c="d"\r\n\r\n',
  ],
  [
    "Chromium's fetch with a body",
    'PUT /a HTTP/1.1\r\nHost: board\r\nConnection: keep-alive\r\nContent-Length: 0\r\nOrigin: http://board\r\nReferer: http://board/\r\n\r\n',
  ],
  [
    "Chromium's WebSocket",
    `GET /live HTTP/1.1\r\nHost: board\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0\r\nUpgrade: websocket\r\nOrigin: http://board\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n`,
  ],
  [
    "Firefox's WebSocket",
    `GET /live HTTP/1.1\r\nHost: board\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\nSec-WebSocket-Version: 13\r\nOrigin: http://board\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: ${KEY}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  ],
  [
    "Python's websockets",
    `GET / HTTP/1.1\r\nHost: board:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nUser-Agent: Python/3.11 websockets/10.4\r\n\r\n`,
  ],
  [
    'arduinoWebSockets',
    `GET / HTTP/1.1\r\nHost: board:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Protocol: arduino\r\nOrigin: file://\r\nUser-Agent: arduino-WebSocket-Client\r\n\r\n`,
  ],
  [
    'paho',
    `GET /mqtt HTTP/1.1\r\nHost: board:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://board:80\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n`,
  ],
  [
    "ESP32's HTTPClient",
    'GET /t HTTP/1.1\r\nHost: board\r\nUser-Agent: ESP32HTTPClient\r\nConnection: keep-alive\r\nAccept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n\r\n',
  ],
  ['nginx with proxy_http_version 1.1', 'GET / HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n'],
];

const OTHERS: readonly (readonly [name: string, bytes: string, expected: FirstRequest])[] = [
  ['other methods', head('DELETE /a HTTP/1.1', ''), 'uws'],
  ['OPTIONS of a path', head('OPTIONS /a HTTP/1.1', ''), 'uws'],
  ['PATCH with a length', head('PATCH /a HTTP/1.1', 'content-length: 0\r\n'), 'uws'],
  ['a GET with a body', `${get('Content-Length: 2\r\n')}hi`, 'uws'],
  ['no space behind the colon, many of them', 'GET / HTTP/1.1\r\nhost:a\r\nB:   c  d  \r\nE:\r\n\r\n', 'uws'],
  ['a body of which a part has come', `${head('POST / HTTP/1.1', 'Content-Length: 20\r\n')}hi`, 'uws'],

  ['HTTP/1.0', head('GET / HTTP/1.0', ''), 'node'],
  ['HTTP/1.0, known by its last digit', 'GET / HTTP/1.0', 'node'],
  ['HTTP/1.2', head('GET / HTTP/1.2', ''), 'node'],
  ['HTTP/0.9', 'GET /\r\n', 'node'],
  ['an absolute target', head('GET http://board.test/ HTTP/1.1', ''), 'node'],
  ['OPTIONS *', head('OPTIONS * HTTP/1.1', ''), 'node'],
  ['CONNECT', head('CONNECT board.test:80 HTTP/1.1', ''), 'node'],
  ['an unknown method', head('FROB / HTTP/1.1', ''), 'node'],
  ['a method that Node knows and no route takes', head('PROPFIND / HTTP/1.1', ''), 'node'],
  ['a method in lower case', head('get / HTTP/1.1', ''), 'node'],
  ["HTTP/2's preface", 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'node'],
  ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'node'],
  ['a PROXY preface', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n', 'node'],
  ['a binary PROXY preface', '\r\n\r\n\0\r\nQUIT\n', 'node'],
  ['an empty line in front', `\r\n${get('')}`, 'node'],
  ['two spaces', head('GET  / HTTP/1.1', ''), 'node'],
  ['a space in the target', head('GET /a b HTTP/1.1', ''), 'node'],
  ['a target above ASCII', head('GET /caf\xc3\xa9 HTTP/1.1', ''), 'node'],
  ['DEL in the target', head('GET /a\x7f HTTP/1.1', ''), 'node'],
  ['NUL in the target', head('GET /a\0 HTTP/1.1', ''), 'node'],
  ['a fragment', head('GET /a#b HTTP/1.1', ''), 'node'],
  ['a line break without CR', 'GET / HTTP/1.1\nHost: a\n\n', 'node'],
  ['the same in a field', `GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n`, 'node'],
  ['a bare CR', get('A: b\rc\r\n'), 'node'],
  ['a CR for an end', `GET / HTTP/1.1\r\n${HOST}\rx`, 'node'],
  ['NUL in a value', get('A: b\0\r\n'), 'node'],
  ['TAB in a value', get('A: b\tc\r\n'), 'node'],
  ['a value above ASCII', get('A: caf\xe9\r\n'), 'node'],
  ['a field without a name', get(': a\r\n'), 'node'],
  ['a line without a colon', get('a\r\n'), 'node'],
  ['a space before the colon', get('A : b\r\n'), 'node'],
  ['a folded line', get('A: b\r\n c\r\n'), 'node'],
  ['a name above ASCII', get('\xc3: b\r\n'), 'node'],

  ['no Host', 'GET / HTTP/1.1\r\nA: b\r\n\r\n', 'node'],
  ['no field', 'GET / HTTP/1.1\r\n\r\n', 'node'],
  ['two Hosts', get(HOST), 'node'],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost: \r\n\r\n', 'node'],
  ['two lengths', get('Content-Length: 1\r\nContent-Length: 1\r\n'), 'node'],
  ['a list of lengths', get('Content-Length: 1, 1\r\n'), 'node'],
  ['an empty length', get('Content-Length:\r\n'), 'node'],
  ['a length with a sign', get('Content-Length: +1\r\n'), 'node'],
  ['a length of 16 digits', get('Content-Length: 0000000000000001\r\n'), 'node'],
  ['chunks', head('POST / HTTP/1.1', 'Transfer-Encoding: chunked\r\n'), 'node'],
  ['a coding in another case', head('POST / HTTP/1.1', 'tRansfer-encodinG: chunked\r\n'), 'node'],
  ['a POST without a length', head('POST / HTTP/1.1', ''), 'node'],
  ['a PUT without a length', head('PUT / HTTP/1.1', ''), 'node'],
  ['a PATCH without a length', head('PATCH / HTTP/1.1', ''), 'node'],
  ['Expect', head('POST / HTTP/1.1', 'Content-Length: 2000\r\nExpect: 100-continue\r\n'), 'node'],
  ['a request behind a GET', `${get('')}${get('')}`, 'node'],
  ['the first byte of one', `${get('')}G`, 'node'],
  ['a request behind a body', `${head('POST / HTTP/1.1', 'Content-Length: 2\r\n')}hi${get('')}`, 'node'],
  ['an empty line behind a body', `${head('POST / HTTP/1.1', 'Content-Length: 2\r\n')}hi\r\n`, 'node'],

  ['Connection with a word of five letters', get('Connection: hello\r\n'), 'node'],
  ['close in a list', get('Connection: TE, close\r\n'), 'node'],
  ['CLOSE', get('Connection: CLOSE\r\n'), 'uws'],
  ['Keep-Alive', get('Connection: Keep-Alive\r\n'), 'uws'],
  ['close with a space behind', get('Connection: close \r\n'), 'node'],
  ['two Connections', get('Connection: keep-alive\r\nConnection: close\r\n'), 'node'],
  ['an empty Connection', get('Connection:\r\n'), 'node'],
  [
    'curl --http2',
    get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n'),
    'node',
  ],
  ['Upgrade: h2c', get('Connection: Upgrade\r\nUpgrade: h2c\r\n'), 'node'],
  ['an Upgrade without Connection', get(`Upgrade: websocket\r\n${OFFER}`), 'node'],
  ['a Connection without Upgrade', get(`Connection: Upgrade\r\n${OFFER}`), 'node'],
  ['a key alone', get(`Sec-WebSocket-Key: ${KEY}\r\n`), 'node'],
  ['a version alone', get('Sec-WebSocket-Version: 13\r\n'), 'uws'],
  ['a handshake', get(`${SWITCH}${OFFER}`), 'uws'],
  ['one in other cases', get(`UPGRADE: WebSocket\r\nconnection: Keep-Alive,  upgrade\r\n${OFFER}`), 'uws'],
  ['with close', get(`Upgrade: websocket\r\nConnection: Upgrade, close\r\n${OFFER}`), 'node'],
  ['with a comma at the end', get(`Upgrade: websocket\r\nConnection: Upgrade,\r\n${OFFER}`), 'node'],
  ['with words that run together', get(`Upgrade: websocket\r\nConnection: keep-aliveupgrade\r\n${OFFER}`), 'node'],
  ['with a choice of protocols', get(`Upgrade: h2c, websocket\r\nConnection: Upgrade\r\n${OFFER}`), 'node'],
  ['with no key', get(`${SWITCH}Sec-WebSocket-Version: 13\r\n`), 'node'],
  ['with a short key', get(`${SWITCH}Sec-WebSocket-Key: dGhl\r\nSec-WebSocket-Version: 13\r\n`), 'node'],
  ['with no base64', get(`${SWITCH}${OFFER.replace('dGhl', 'd-hl')}`), 'node'],
  ['with a key of 17 bytes', get(`${SWITCH}${OFFER.replace('ZQ==', 'ZQA=')}`), 'node'],
  ['with two keys', get(`${SWITCH}${OFFER}Sec-WebSocket-Key: ${KEY}\r\n`), 'node'],
  ['of version 8', get(`${SWITCH}${OFFER.replace('13', '8')}`), 'node'],
  ['of two versions', get(`${SWITCH}${OFFER}Sec-WebSocket-Version: 13\r\n`), 'node'],
  ['without a version', get(`${SWITCH}Sec-WebSocket-Key: ${KEY}\r\n`), 'node'],
  ['by POST', head('POST / HTTP/1.1', `${SWITCH}${OFFER}Content-Length: 0\r\n`), 'node'],
  ['with a body', `${get(`${SWITCH}${OFFER}Content-Length: 2\r\n`)}hi`, 'node'],
  ['with a frame behind', `${get(`${SWITCH}${OFFER}`)}\x81\x80abcd`, 'node'],

  ['98 fields', get('A: b\r\n'.repeat(97)), 'uws'],
  ['99 fields', get('A: b\r\n'.repeat(98)), 'node'],
];

describe('the judge of a first request', { concurrency: true }, () => {
  test('what the usual clients send is for uws, and no part of it is judged before it is whole', () => {
    for (const [name, bytes] of CLIENTS) {
      const whole = bytes.indexOf('\r\n\r\n') + 4;
      for (let length = 0; length < whole; length++) assert.equal(judge(bytes.slice(0, length)), 'more', name);
      for (let length = whole; length <= bytes.length; length++)
        assert.equal(judge(bytes.slice(0, length)), 'uws', name);
    }
  });

  for (const [name, bytes, expected] of OTHERS)
    test(`${name}: ${expected}`, () => {
      assert.equal(judge(bytes), expected);
      // What has been given away is not taken back.
      let given = false;
      for (let length = 0; length < bytes.length; length++) {
        const early = judge(bytes.slice(0, length));
        if (given) assert.equal(early, 'node', `after ${length} bytes`);
        given = early === 'node';
      }
    });

  test('nothing is waited for behind the largest head', () => {
    const bytes = get(`A: ${'b'.repeat(900)}\r\n`);
    assert.equal(judge(bytes, bytes.length), 'uws');
    assert.equal(judge(bytes, bytes.length - 1), 'node');
    assert.equal(judge(bytes.slice(0, -1), bytes.length), 'more');
    assert.equal(judge(bytes.slice(0, -1), bytes.length - 1), 'node');
    assert.equal(judge('G', 1), 'node');
    assert.equal(judge('', 1), 'more');
  });

  test('what both engines read is the same, whatever is for uws', async (t) => {
    const start = Math.floor(Date.now() / 1000);
    const seeds = [...CLIENTS, ...OTHERS].map(([, bytes]) => Buffer.from(bytes, 'latin1'));
    const heads = [...seeds, everyName()];
    for (let number = 0; number < 200_000 && heads.length < 300; number++) {
      const bytes = mutated(seeds, new Chance(start + number));
      if (judge(bytes) === 'uws') heads.push(bytes);
    }
    const good = heads.filter((bytes) => judge(bytes) === 'uws');
    t.diagnostic(`${good.length} heads from ${start}`);
    assert(good.length > 150);
    const [uws, node] = [await read('uws', good), await read('node', good)];
    for (const [index, bytes] of good.entries()) {
      const written = JSON.stringify(bytes.toString('latin1'));
      assert.deepEqual(uws[index], node[index], written);
      // A subprotocol that is no token is refused by either in the same words.
      const expected = /sec-websocket-protocol/i.test(written) && node[index]?.read === undefined ? 400 : 200;
      assert.equal(node[index]?.status, expected, written);
    }
  });
});

/** A head that has every character of a token in a name, and every character of a value. */
function everyName(): Buffer {
  const values = String.fromCharCode(...Array.from({ length: 95 }, (_, at) => 0x20 + at)).trim();
  const names = [...values].filter((letter) => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(letter));
  return Buffer.from(get(names.map((name) => `a${name}b: ${values}\r\n`).join('')), 'latin1');
}

interface Seen {
  readonly status: number;
  readonly body: string;
  readonly read:
    | (Pick<Request, 'method' | 'path' | 'query' | 'headers'> & Pick<Exchange, 'handshake' | 'contentLength'>)
    | undefined;
}

/** What an engine makes of each, on connections of their own. */
async function read(engine: 'uws' | 'node', heads: readonly Buffer[]): Promise<readonly Seen[]> {
  let read: Seen['read'];
  const trial = await Trial.start(engine, (exchange) => {
    const { handshake, contentLength } = exchange;
    const { method, path, query, headers } = exchange.request;
    read = { method, path, query, headers, handshake, contentLength };
    exchange.reply({ ...text('ok'), close: true });
  });
  try {
    return await inTurns(heads.length, 1, async (index) => {
      read = undefined;
      const bytes = heads[index] ?? Buffer.alloc(0);
      const method = bytes.toString('latin1', 0, bytes.indexOf(' '));
      // Without a body: both answer before it has come.
      const { status, body } = await rawRequest(trial.port, bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 4), method);
      return { status, body: String(body), read };
    });
  } finally {
    await trial.close();
  }
}
