/** `compress` on a stream with a real browser: what Chromium negotiates, compresses and reads, on both engines and over TLS. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { Authority } from '../support/certificates.ts';
import { ask } from '../support/client.ts';
import { startGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';

const PAGE = `<!doctype html><title>test</title><script src="/.runnel/client.js"></script><script>
function connect(path) {
  return new Promise(function (resolve, reject) {
    var socket = new WebSocket(location.href.replace(/^http/, 'ws').replace(/\\/$/, path));
    socket.binaryType = 'arraybuffer';
    socket.onopen = function () { resolve(socket); };
    socket.onerror = function () { reject(new Error('no WebSocket')); };
  });
}
/** Sends each message, and gives whether each came back as it was, in order. */
async function echoes(path, messages) {
  var socket = await connect(path), got = [];
  socket.onmessage = function (event) { got.push(event.data); if (got.length === messages.length) socket.close(); };
  var closed = new Promise(function (resolve) { socket.onclose = resolve; });
  messages.forEach(function (message) { socket.send(message); });
  var code = (await closed).code;
  return { extensions: socket.extensions, code: code, same: got.map(function (message, at) { return message === messages[at]; }) };
}
/** The bytes of one binary message after another, back and compared. */
async function bytesBack(path, sizes) {
  var socket = await connect(path), sent = [], got = [];
  sizes.forEach(function (size, at) {
    var bytes = new Uint8Array(size);
    // Every second one is noise, which no compression makes smaller.
    if (at % 2) crypto.getRandomValues(bytes); else for (var i = 0; i < size; i++) bytes[i] = i % 7;
    sent = sent.concat(Array.from(bytes));
    socket.send(bytes);
  });
  await new Promise(function (resolve, reject) {
    socket.onclose = function (event) { reject(new Error('closed with ' + event.code)); };
    socket.onmessage = function (event) {
      got = got.concat(Array.from(new Uint8Array(event.data)));
      if (got.length >= sent.length) resolve();
    };
  });
  socket.onclose = null;
  socket.close();
  return JSON.stringify(got) === JSON.stringify(sent);
}
/** How the gateway answers one message that is too large behind its compression, or not. */
async function closedAfter(path, size) {
  var socket = await connect(path);
  socket.send('x'.repeat(size));
  return (await new Promise(function (resolve) { socket.onclose = resolve; })).code;
}
</script>`;

/** Bytes of a line of the shared stream. */
const LONG = 200_000;
/** Characters of two bytes. */
const LENGTHS = [1, 500, 30_000, 60_000];
const CONFIG = (engine: string, tls: string): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
${tls}
[static."/"]
root = "www"
[stream."/cat"]
command = ["cat"]
compress = true
max_message = "512KiB"
[stream."/small"]
command = ["cat"]
compress = true
max_message = "64KiB"
[stream."/bytes"]
command = ["cat"]
framing = "raw"
compress = true
[stream."/shared"]
command = ["sh", "-c", "yes é | head -n ${LONG / 2} | tr -d '\\\\n'; echo; echo short; exec cat"]
share = "all"
history = 10
compress = true
max_message = "512KiB"
[stream."/plain"]
command = ["cat"]
max_message = "512KiB"
[admin]
listen = "127.0.0.1:0"
`;

interface Echoed {
  readonly extensions: string;
  readonly code: number;
  readonly same: readonly boolean[];
}

describe('permessage-deflate in a browser', { skip: noBrowser }, () => {
  const browser = testBrowser();
  for (const engine of ['uws', 'node'])
    for (const secure of [false, true])
      test(`${engine}${secure ? ', over TLS' : ''}`, async (t) => {
        const made = new Authority().server(['127.0.0.1']);
        const running = await startGateway(t, {
          config: CONFIG(engine, secure ? 'tls = { certificate = "board.pem", key = "board.key" }' : ''),
          files: { 'www/index.html': PAGE, 'board.pem': made.certificate, 'board.key': made.pem },
        });
        const wire = await tcpProxy(t, { to: running.port });
        const context = await (await browser()).newContext({ ignoreHTTPSErrors: true });
        t.after(() => context.close());
        const page = await context.newPage();
        await page.goto(`${secure ? 'https' : 'http'}://127.0.0.1:${wire.port}/`);
        const compressed = async (route: string): Promise<number> => {
          const { body } = await ask(running.ports.at(-1) ?? 0, '/metrics');
          const line = `^runnel_compressed_messages_total\\{route="${route}"\\} (\\d+)$`;
          return Number(new RegExp(line, 'm').exec(body)?.[1] ?? 0);
        };

        const before = wire.bytes;
        const messages = `[${LENGTHS.map((length) => `'é'.repeat(${length})`).join()}, JSON.stringify({ a: '\u2028"' })]`;
        const echoed = (await page.evaluate(`echoes('/cat', ${messages})`)) as Echoed;
        assert.match(echoed.extensions, /^permessage-deflate/);
        assert.equal(echoed.code, 1005);
        assert.deepEqual(
          echoed.same,
          [...LENGTHS, 0].map(() => true),
        );
        assert.equal(await compressed('/cat'), 2);
        // Both ways: as they are the long messages are 360 KB, there and back.
        const sent = wire.bytes - before;
        assert.ok(sent < 100_000, `${sent} bytes`);

        assert.equal(await page.evaluate("bytesBack('/bytes', [5000, 5000, 1, 40000, 60000, 2])"), true);

        const plain = (await page.evaluate(`echoes('/plain', ['x'.repeat(60000)])`)) as Echoed;
        assert.deepEqual(plain, { extensions: '', code: 1005, same: [true] });

        // client.js reads the past of a shared stream, and what comes after it.
        await page.evaluate(`window.seen = []; window.stream = new Runnel('/shared', { history: 10 });
          stream.onmessage = function (event) { seen.push(event.data.length); if (seen.length === 2) stream.send('x'.repeat(3000)); }`);
        await until('all messages', async () => (await page.evaluate('seen.length')) === 3);
        assert.deepEqual(await page.evaluate('[seen, stream.transport]'), [[LONG / 2, 5, 3000], 'websocket']);
        await page.evaluate('stream.close()');
        assert.equal(await compressed('/shared'), 2);

        // What is small only on the wire does not get past the limit.
        assert.equal(await page.evaluate("closedAfter('/small', 65537)"), 1009);
        assert.ok([1006, 1009].includes((await page.evaluate("closedAfter('/small', 50 << 20)")) as number));
        const after = (await page.evaluate("echoes('/small', ['x'.repeat(65536)])")) as Echoed;
        assert.deepEqual(after.same, [true]);
        assert.equal(await running.stop(), 0);
      });
});
