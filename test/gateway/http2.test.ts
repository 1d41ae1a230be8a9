/** HTTP/2 through the whole gateway: with the clients that people have. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { describe, type TestContext, test } from 'node:test';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { Authority } from '../support/certificates.ts';
import { type Running, startGateway } from '../support/gateway.ts';
import { ask2, DATA, FrameClient, frame, get, HEADERS, head, openSession } from '../support/http2.ts';
import { until } from '../support/until.ts';

const ENVIRONMENT = `#!/bin/sh
printf 'Content-Type: text/plain\\n\\n'
echo "$SERVER_PROTOCOL $HTTPS $HTTP_HOST $HTTP_COOKIE"
cat
`;
/** As long as there are streams, one after another. */
const PAGE = `<!doctype html><script>
  window.seen = new Set();
  for (let at = 0; at < 10; at++)
    new EventSource('/ticks?' + at).onmessage = () => window.seen.add(at);
</script>`;

async function start(t: TestContext): Promise<Running> {
  const { certificate, pem } = new Authority().server(['board.test', '127.0.0.1', 'localhost']);
  return await startGateway(t, {
    config: `
[[listen]]
address = "127.0.0.1:0"
tls = { certificate = "board.pem", key = "board.key" }
http2 = true
[static."/"]
root = "site"
[cgi."/env"]
command = ["./env.cgi"]
[stream."/ticks"]
command = ["sh", "-c", "while :; do echo tick; sleep 0.2; done"]
share = "all"
[stream."/cat"]
command = ["cat"]
[connections]
requests_per_second = 100000
request_burst = 100000
`,
    files: { 'env.cgi': ENVIRONMENT, 'site/index.html': PAGE, 'board.pem': certificate, 'board.key': pem },
  });
}

function has(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined;
}

/** What a program printed, and how it ended. */
async function run(program: string, args: readonly string[]): Promise<{ output: string; status: number | null }> {
  const child = spawn(program, args);
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString('latin1');
  });
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { output, status };
}

describe('HTTP/2', { concurrency: true }, () => {
  test('a program is told of it, and a page of HTTP/1.1 comes from the same port', async (t) => {
    const { port } = await start(t);
    const session = await openSession(port);
    const headers = { ':method': 'POST', ':path': '/env', cookie: ['a=1', 'b=2'] };
    const answer = await ask2(session, headers, 'the body');
    assert.equal(answer.body.toString(), 'HTTP/2.0 on board.test a=1; b=2\nthe body');
    session.close();
  });

  test('a stop ends event streams in good order', async (t) => {
    const running = await start(t);
    const session = await openSession(running.port);
    let goaway: number | undefined;
    session.on('goaway', (code) => {
      goaway = code;
    });
    const stream = session.request({ ':path': '/ticks', accept: 'text/event-stream' });
    let text = '';
    stream.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    stream.on('error', () => undefined);
    await until(() => text.includes('data: tick'), 'a tick');
    assert.equal(await running.stop(), 0);
    await until(() => session.destroyed, 'the end of the connection');
    assert.equal(goaway, 0);
    assert.equal(stream.rstCode, 0);
  });

  test('a WebSocket over HTTP/2, beside a page', async (t) => {
    const { port } = await start(t);
    const client = await FrameClient.connect(port);
    client.write(
      head(1, [
        [':method', 'CONNECT'],
        [':protocol', 'websocket'],
        ...get('/cat').slice(1),
        ['sec-websocket-version', '13'],
        ['origin', 'https://board.test'],
      ]),
    );
    await client.next(HEADERS, 1);
    client.write(frame(DATA, 0, 1, Buffer.from([0x81, 0x83, 0, 0, 0, 0, 0x61, 0x62, 0x63])));
    assert.deepEqual([...(await client.next(DATA, 1)).payload], [0x81, 0x03, 0x61, 0x62, 0x63]);
    client.write(head(3, get('/'), 1));
    assert.equal((await client.next(DATA, 3)).payload.toString(), PAGE);
    client.socket.destroy();
  });

  test('curl', async (t) => {
    const { port } = await start(t);
    const args = [
      '-sk',
      '--http2',
      '-w',
      '|%{http_version}',
      '--data-binary',
      'hello',
      `https://127.0.0.1:${port}/env`,
    ];
    const { output } = await run('curl', args);
    assert.match(output, /^HTTP\/2\.0 on .*\nhello\|2$/);
  });

  test('nghttp and h2load', { skip: has('nghttp') ? false : 'needs nghttp2-client' }, async (t) => {
    const running = await start(t);
    const url = `https://127.0.0.1:${running.port}/`;
    const shown = await run('nghttp', ['-v', '-n', url]);
    assert.match(shown.output, /:status: 200/);
    assert.equal(shown.status, 0);
    const load = await run('h2load', ['-n', '5000', '-c', '10', '-m', '20', url]);
    assert.match(load.output, /5000 succeeded, 0 failed, 0 errored/);
    // A file of it, and nothing about all that in the log that is not a request.
    assert.match((await run('h2load', ['-n', '50', '-c', '1', '-m', '50', `${url}env`])).output, /50 succeeded/);
    assert.deepEqual(
      running.log.filter(({ level }) => level !== 'info').map(({ message }) => message),
      [],
    );
  });
});

describe('HTTP/2 in a browser', { skip: noBrowser }, () => {
  const browser = testBrowser();

  test('ten event streams in one tab, and a WebSocket', async (t) => {
    const { port } = await start(t);
    const context = await (await browser()).newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await page.goto(`https://127.0.0.1:${port}/`);
    await page.waitForFunction('window.seen.size === 10');
    assert.equal(await page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"), 'h2');
    const echo = await page.evaluate(`new Promise((resolve) => {
      const socket = new WebSocket('wss://127.0.0.1:${port}/cat');
      socket.onopen = () => socket.send('hello');
      socket.onmessage = ({ data }) => resolve(data);
      socket.onclose = ({ code }) => resolve('closed ' + code);
    })`);
    assert.match(String(echo), /^hello/);
    await context.close();
  });
});
