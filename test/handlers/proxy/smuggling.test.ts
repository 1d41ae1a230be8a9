/**
 * No two readers on the way see two requests where another sees one: every trick with framing, through the gateway alone and behind nginx and
 * HAProxy, to an upstream that reads strictly and keeps its connections.
 */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startBoth } from '../../support/both-engines.ts';
import { ask } from '../../support/client.ts';
import { folderWith, startGateway } from '../../support/gateway.ts';
import { NGINX, nginx } from '../../support/nginx.ts';
import { freePort } from '../../support/ports.ts';
import { soon, startProxy } from '../../support/proxy.ts';
import { RawClient } from '../../support/raw.ts';
import { type StrictUpstream, strictUpstream } from '../../support/strict-upstream.ts';

const HAPROXY = '/usr/sbin/haproxy';
const HOST = 'Host: board.test\r\n';
/** What a trick wants to get through. It has the length that the tricks below say. */
const HIDDEN = `GET /hidden HTTP/1.1\r\n${HOST}\r\n`;
const LENGTH = `Content-Length: ${HIDDEN.length}\r\n`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const LAST = '0\r\n\r\n';
const SIZE = HIDDEN.length.toString(16);

const post = (fields: string, body: string, line = 'POST /first HTTP/1.1'): string =>
  `${line}\r\n${HOST}${fields}\r\n${body}`;

const TRICKS: { readonly [name: string]: string } = {
  'a length and chunks': post(`Content-Length: 5\r\n${CHUNKED}`, `${LAST}${HIDDEN}`),
  'chunks and a length': post(`${CHUNKED}${LENGTH}`, `${LAST}${HIDDEN}`),
  'two lengths': post(`Content-Length: 0\r\n${LENGTH}`, HIDDEN),
  'two equal lengths': post(`${LENGTH}${LENGTH}`, HIDDEN),
  'a list of lengths': post(`Content-Length: 0, ${HIDDEN.length}\r\n`, HIDDEN),
  'a length with a sign': post(`Content-Length: +${HIDDEN.length}\r\n`, HIDDEN),
  'a length below zero': post('Content-Length: -1\r\n', HIDDEN),
  'a length in hexadecimal': post('Content-Length: 0x5\r\n', HIDDEN),
  'a length with a space in it': post('Content-Length: 0 5\r\n', HIDDEN),
  'a length that overflows': post('Content-Length: 18446744073709551616\r\n', HIDDEN),
  'an empty length': post('Content-Length:\r\n', HIDDEN),
  'a length and a space before the colon': post('Content-Length : 0\r\n', HIDDEN),
  'a length behind a fold': post(`X: y\r\n Content-Length: 0\r\n`, HIDDEN),
  'a length with an underscore': post('Content_Length: 0\r\n', HIDDEN),
  'a length that Connection names': post(`Connection: Content-Length\r\n${LENGTH}`, HIDDEN),
  'chunks that Connection names': post(
    `Connection: Transfer-Encoding\r\n${CHUNKED}`,
    `${SIZE}\r\n${HIDDEN}\r\n${LAST}`,
  ),
  'an unknown coding': post('Transfer-Encoding: xchunked\r\n', `${LAST}${HIDDEN}`),
  'two codings': post('Transfer-Encoding: chunked, identity\r\n', `${LAST}${HIDDEN}`),
  identity: post(`Transfer-Encoding: identity\r\n${LENGTH}`, HIDDEN),
  'chunked twice': post(`${CHUNKED}${CHUNKED}`, `${LAST}${HIDDEN}`),
  'chunked and another one': post(`${CHUNKED}Transfer-Encoding: x\r\n`, `${LAST}${HIDDEN}`),
  'an empty coding before chunked': post(`Transfer-Encoding:\r\n${CHUNKED}${LENGTH}`, HIDDEN),
  'a coding behind a tab': post(`Transfer-Encoding:\tchunked\r\n${LENGTH}`, HIDDEN),
  'a coding behind a vertical tab': post(`Transfer-Encoding: \x0bchunked\r\n${LENGTH}`, HIDDEN),
  'a coding and a space before the colon': post(`Transfer-Encoding : chunked\r\n${LENGTH}`, HIDDEN),
  'a coding with an underscore': post(`Transfer_Encoding: chunked\r\n${LENGTH}`, HIDDEN),
  'a coding behind a bare LF': post(`X: y\nTransfer-Encoding: chunked\r\n${LENGTH}`, HIDDEN),
  'a coding behind a bare CR': post(`X: y\rTransfer-Encoding: chunked\r\n${LENGTH}`, HIDDEN),
  'a coding in capitals': post('TRANSFER-ENCODING: CHUNKED\r\n', `${SIZE}\r\n${HIDDEN}\r\n${LAST}`),
  'a coding in quotes': post(`Transfer-Encoding: "chunked"\r\n${LENGTH}`, HIDDEN),
  'a chunk that holds it': post(CHUNKED, `${SIZE}\r\n${HIDDEN}\r\n${LAST}`),
  'a chunk with an extension': post(CHUNKED, `${SIZE};a=b\r\n${HIDDEN}\r\n${LAST}`),
  'an extension with a bare LF': post(CHUNKED, `2;\nxx\r\n${SIZE}\r\n0\r\n\r\n${HIDDEN}`),
  'a chunk behind a bare LF': post(CHUNKED, `${SIZE}\n${HIDDEN}\n0\n\n`),
  'a last chunk without its end': post(CHUNKED, `0\r\nXX${HIDDEN}`),
  'a last chunk of many zeros': post(CHUNKED, `0000000000000000000000\r\n\r\n${HIDDEN}`),
  'a size that overflows': post(CHUNKED, `ffffffffffffffff\r\n${HIDDEN}\r\n${LAST}`),
  'a size with a sign': post(CHUNKED, `+${SIZE}\r\n${HIDDEN}\r\n${LAST}`),
  'a size with 0x': post(CHUNKED, `0x${SIZE}\r\n${HIDDEN}\r\n${LAST}`),
  'a size behind a space': post(CHUNKED, ` ${SIZE}\r\n${HIDDEN}\r\n${LAST}`),
  'a chunk shorter than its size': post(CHUNKED, `5\r\nab\r\n${LAST}${HIDDEN}`),
  'a trailer that is a length': post(CHUNKED, `0\r\n${LENGTH}\r\n${HIDDEN}`),
  'a trailer that is a request': post(CHUNKED, `0\r\nX: y\r\nGET /hidden HTTP/1.1\r\n${HOST}\r\n`),
  'GET with a body': post(LENGTH, HIDDEN, 'GET /first HTTP/1.1'),
  'HEAD with a body': post(LENGTH, HIDDEN, 'HEAD /first HTTP/1.1'),
  'OPTIONS with chunks': post(CHUNKED, `${SIZE}\r\n${HIDDEN}\r\n${LAST}`, 'OPTIONS /first HTTP/1.1'),
  'HTTP/1.0 with chunks': post(CHUNKED, `${SIZE}\r\n${HIDDEN}\r\n${LAST}`, 'POST /first HTTP/1.0'),
  'a body behind h2c': post(
    `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n${LENGTH}`,
    HIDDEN,
  ),
  'a handshake with a body': post(
    `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${LENGTH}`,
    HIDDEN,
    'GET /first HTTP/1.1',
  ),
  'a handshake of an unknown version, and frames': post(
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n',
    HIDDEN,
    'GET /first HTTP/1.1',
  ),
  'an expectation': post(`Expect: 100-continue\r\n${LENGTH}`, HIDDEN),
  'an expectation that nobody knows': post(`Expect: 200-ok\r\n${LENGTH}`, HIDDEN),
  'two hosts': post(`Host: other.test\r\n${LENGTH}`, HIDDEN),
  'a line break in the target': post('', '', `GET /first%0d%0aX:%20y HTTP/1.1`),
  'a target with a request in it': post('', '', `GET /first?x=%0d%0a%0d%0aGET%20/hidden HTTP/1.1`),
  'a fragment in the target': post('', '', 'GET /first?x#/hidden HTTP/1.1'),
  'NUL in a value': post(`X: a\0b\r\n${LENGTH}`, HIDDEN),
  'bytes above ASCII in a value': post(`X: \x85\xa0\u00ff\r\n${LENGTH}`, HIDDEN),
  'a field without a name': post(`: x\r\n${LENGTH}`, HIDDEN),
  'a name with a space': post(`X y: z\r\n${LENGTH}`, HIDDEN),
  'an empty line first': `\r\n${post(LENGTH, HIDDEN)}`,
};

/** What is hidden in these is hidden from nobody: it stands behind a request without a body, or behind the end of one. */
const REQUESTS_OF_THEIR_OWN: ReadonlySet<string> = new Set([
  'a length with an underscore',
  'a last chunk of many zeros',
  'a trailer that is a length',
  'a handshake of an unknown version, and frames',
]);

/** Sends it, and waits until the connection is closed or has had an answer and a moment more. */
async function play(port: number, bytes: string): Promise<void> {
  const client = await RawClient.connect(port);
  client.send(bytes);
  for (let rounds = 0; rounds < 30 && !client.closed; rounds++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    if (rounds > 8 && client.received.length > 0) break;
  }
  client.destroy();
}

/** Whether a request with this target, and the mark of whoever is in front, may come of the trick of this name. */
type IsOwn = (url: string, mark: string | undefined, name: string) => boolean;

const isNotHidden: IsOwn = (url, _mark, name) => !url.startsWith('/hidden') || REQUESTS_OF_THEIR_OWN.has(name);

/** Nothing but whole requests has come, each of which whoever is in front has sent on as one. */
function assertClean(upstream: StrictUpstream, name: string, isOwn: IsOwn): void {
  assert.deepEqual(upstream.wrong, [], name);
  for (const { line, headers } of upstream.requests) {
    const url = line.split(' ')[1] ?? '';
    assert.ok(isOwn(url, headers.get('x-front'), name), `${name}: ${line} ${JSON.stringify([...headers])}`);
  }
  upstream.requests.length = 0;
}

async function everyTrick(upstream: StrictUpstream, ports: readonly number[], isOwn: IsOwn): Promise<void> {
  for (const [name, bytes] of Object.entries(TRICKS))
    for (const port of ports) {
      await play(port, bytes);
      const next = await ask(port, '/next');
      assert.deepEqual([next.status, next.body], [200, '/next'], name);
      assertClean(upstream, name, isOwn);
    }
}

function config(upstream: StrictUpstream): string {
  return `[proxy."/"]\nupstream = "http://127.0.0.1:${upstream.port}"\ntimeout = "5s"\n`;
}

test('the gateway alone', async (t) => {
  const upstream = await strictUpstream(t);
  const gateway = await startBoth(t, { config: `${config(upstream)}[connections]\nfailed_logins = 1000\n` });
  // The tricks that are read as one request with a body hide nothing from the upstream: it has the same body.
  await everyTrick(
    upstream,
    gateway.engines.map(([, port]) => port),
    isNotHidden,
  );
});

test('the default engine, which a door chooses', async (t) => {
  const upstream = await strictUpstream(t);
  const gateway = await startGateway(t, { config: `[[listen]]\naddress = "127.0.0.1:0"\n${config(upstream)}` });
  await everyTrick(upstream, [gateway.port], isNotHidden);
});

const isMarked = (url: string, mark: string | undefined): boolean => mark === url.replace(/\?.*/, '');

test('behind nginx', { skip: !existsSync(NGINX) && 'needs nginx' }, async (t) => {
  const upstream = await strictUpstream(t);
  const gateway = await startBoth(t, { config: config(upstream) });
  const ports: number[] = [];
  for (const [, port] of gateway.engines)
    ports.push(
      await nginx(t, port, 'proxy_set_header X-Front $uri; proxy_http_version 1.1; proxy_set_header Connection "";'),
    );
  await everyTrick(upstream, ports, isMarked);
});

async function haproxy(t: TestContext, port: number): Promise<number> {
  const own = await freePort();
  const folder = folderWith(t, {});
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(
    file,
    `defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  http-reuse always
frontend web
  bind 127.0.0.1:${own}
  http-request set-header X-Front %[path]
  default_backend runnel
backend runnel
  server one 127.0.0.1:${port}
`,
  );
  const noise = startProxy(t, HAPROXY, ['-db', '-f', file]);
  await soon(() => ask(own, '/'), noise);
  return own;
}

test('behind HAProxy', { skip: !existsSync(HAPROXY) && 'needs HAProxy' }, async (t) => {
  const upstream = await strictUpstream(t);
  const gateway = await startBoth(t, { config: config(upstream) });
  const ports: number[] = [];
  for (const [, port] of gateway.engines) ports.push(await haproxy(t, port));
  upstream.requests.length = 0;
  await everyTrick(upstream, ports, isMarked);
});
