/** Every limit, at work in the gateway, on both engines: what a client gets, and that it is counted. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { startBoth } from '../support/both-engines.ts';
import { ask, TestSocket } from '../support/client.ts';
import { until } from '../support/processes.ts';
import { RawClient, rawRequest } from '../support/raw.ts';

const FILES = {
  'www/a.txt': 'a',
  'www/large.bin': Buffer.alloc(8 << 20),
  'bin/who.cgi': `#!/bin/sh
echo; echo "$REMOTE_ADDR \${HTTPS:-off}"; cat >/dev/null
`,
};
const ROUTES = `
[static."/"]
root = "www"
[cgi."/bin/"]
root = "bin"
[stream."/live"]
command = ["cat"]
`;

test('requests and upgrades a second, by the address behind a trusted proxy', async (t) => {
  const gateway = await startBoth(t, {
    config: `${ROUTES}
[connections]
trusted_proxies = ["127.0.0.1"]
requests_per_second = 1
request_burst = 5
upgrades_per_second = 1
upgrade_burst = 2
`,
    files: FILES,
  });
  for (const [name, port] of gateway.engines) {
    const as = (client: string): { headers: { [name: string]: string } } => ({
      headers: { 'X-Forwarded-For': client },
    });
    await t.test(`${name}: programs are told the client's address and scheme`, async () => {
      const seen = await ask(port, '/bin/who.cgi', {
        headers: { 'X-Forwarded-For': '1.1.1.1, 203.0.113.1', 'X-Forwarded-Proto': 'https' },
      });
      assert.equal(seen.body, '203.0.113.1 on\n');
      assert.equal((await ask(port, '/bin/who.cgi')).body, '127.0.0.1 off\n');
    });
    await t.test(`${name}: 429 with Retry-After, for one address and not for another`, async () => {
      const client = name === 'uws' ? '2001:db8:1::' : '2001:db8:2::';
      const statuses: number[] = [];
      let last = await ask(port, '/a.txt', as(`${client}1`));
      for (let count = 0; count < 20; count++) {
        last = await ask(port, '/a.txt', as(`${client}${count}`));
        statuses.push(last.status);
      }
      assert(statuses.filter((status) => status === 200).length < 10, String(statuses));
      assert.equal(last.status, 429);
      assert.match(String(last.headers['retry-after']), /^[1-9]$/);
      assert.equal((await ask(port, '/a.txt', as('2001:db8:ffff::1'))).status, 200);
    });
    await t.test(`${name}: WebSockets have a limit of their own`, async () => {
      const url = `ws://127.0.0.1:${port}/live`;
      const options = as(name === 'uws' ? '198.51.100.1' : '198.51.100.2');
      // All at once: on a busy machine one after the other may be within the limit.
      const asked = await Promise.allSettled(Array.from({ length: 8 }, () => TestSocket.open(url, options)));
      const sockets = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      assert(sockets.length >= 2 && sockets.length < asked.length, `${sockets.length} of ${asked.length} were let in`);
      for (const each of asked) if (each.status === 'rejected') assert.match(String(each.reason), /response: 429/);
      for (const socket of sockets) {
        socket.ws.close();
        await socket.closed;
      }
    });
  }
  assert((await gateway.metric('runnel_policy_refused_total', 'policy="rate"')) >= 20);
  assert((await gateway.metric('runnel_policy_refused_total', 'policy="upgrade_rate"', 'route="/live"')) >= 2);
});

/** Every way to be answered, with a page or without. Lines end in `\n` here. */
const ANSWERED: readonly (readonly [what: string, head: string, status: number])[] = [
  ['a page', 'GET /a.txt HTTP/1.1\nHost: x', 200],
  ['no file', 'GET /none HTTP/1.1\nHost: x', 404],
  ['no route', 'GET /none HTTP/1.1\nHost: other.test', 404],
  ['a path that is none', 'GET /%00 HTTP/1.1\nHost: x', 400],
  ['a path that climbs', 'GET /../x HTTP/1.1\nHost: x', 400],
  ['a Host that is none', 'GET / HTTP/1.1\nHost: a/b', 400],
  ['TRACE', 'TRACE / HTTP/1.1\nHost: x', 405],
  ['CONNECT', 'CONNECT x:1 HTTP/1.1\nHost: x', 405],
  ['a method that the route does not take', 'DELETE /a.txt HTTP/1.1\nHost: x', 405],
  ['OPTIONS', 'OPTIONS /a.txt HTTP/1.1\nHost: x', 204],
  ['a preflight', 'OPTIONS /a.txt HTTP/1.1\nHost: x\nOrigin: http://app.test\nAccess-Control-Request-Method: GET', 204],
  ['no password', 'GET /secret/ HTTP/1.1\nHost: x', 401],
  ['a folder without its slash', 'GET /secret HTTP/1.1\nHost: x\nAuthorization: Bearer token', 301],
  ['a local redirect', 'GET /bin/detour.cgi HTTP/1.1\nHost: x', 200],
  ['HEAD', 'HEAD /a.txt HTTP/1.1\nHost: x', 200],
  ['an event stream', 'GET /live HTTP/1.1\nHost: x\nAccept: text/event-stream', 200],
  [
    'a handshake of another version',
    'GET /live HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 12',
    426,
  ],
  ['a method that is not a token', 'G{} / HTTP/1.1\nHost: x', 400],
  ['two Hosts', 'GET / HTTP/1.1\nHost: x\nHost: y', 400],
];

test('whatever is answered counts as a request of its address', async (t) => {
  const token = createHash('sha256').update('token').digest('hex');
  const gateway = await startBoth(t, {
    config: `
[connections]
exempt = []
requests_per_second = 1
request_burst = 3
max_per_address = 1000
[defaults.cors]
origins = ["http://app.test"]
[static."x/"]
root = "www"
[static."x/secret/"]
root = "www"
auth = { tokens = "tokens" }
[cgi."x/bin/"]
root = "bin"
[stream."x/live"]
command = ["echo", "live"]
`,
    files: { ...FILES, tokens: `lamp:${token}\n`, 'bin/detour.cgi': '#!/bin/sh\necho "Location: /a.txt"; echo\n' },
  });
  let clients = 0;
  for (const [name, port] of gateway.engines)
    for (const [what, head, expected] of ANSWERED) {
      // What uWebSockets.js refuses by itself, nobody is told.
      if (name === 'uws' && what === 'CONNECT') continue;
      await t.test(`${name}: ${what}`, async () => {
        const client = { host: '127.0.0.1', port, localAddress: `127.0.3.${++clients}` };
        const sent = async (text: string): Promise<number> => {
          const bytes = `${text}${text.includes('Connection:') ? '' : '\nConnection: close'}\n\n`.replaceAll(
            '\n',
            '\r\n',
          );
          // Some are closed without an answer.
          return await rawRequest(client, bytes, text.slice(0, text.indexOf(' '))).then(
            ({ status }) => status,
            () => 0,
          );
        };
        const isClosed = name === 'uws' && what === 'two Hosts';
        assert.equal(await sent(head), isClosed ? 0 : expected);
        const statuses = await Promise.all(Array.from({ length: 8 }, () => sent(head)));
        if (!isClosed) assert(statuses.includes(429), `${statuses}`);
        const pages = await Promise.all(Array.from({ length: 5 }, () => sent('GET /a.txt HTTP/1.1\nHost: x')));
        assert(pages.includes(429), `${pages}`);
      });
    }
});

test('slow bodies, slow readers and chatty clients', async (t) => {
  const gateway = await startBoth(t, {
    config: `${ROUTES}
[stream."/bytes"]
command = ["cat"]
limits = { message_bytes_per_second = "10KB" }
[connections]
exempt = []
[defaults.limits]
body_rate = "1KB"
reply_rate = "64KiB"
rate_window = "3s"
messages_per_second = 50
`,
    files: FILES,
  });
  for (const [name, port] of gateway.engines) {
    await t.test(`${name}: a body that does not come is given up, one that comes is served`, async () => {
      const slow = await RawClient.connect(port);
      slow.send('POST /bin/who.cgi HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\na');
      const reply = await slow.reply('POST');
      assert.equal(reply.status, 408);
      slow.destroy();
      const quick = await RawClient.connect(port);
      quick.send('POST /bin/who.cgi HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n');
      const timer = setInterval(() => quick.send('a'.repeat(1000)), 50);
      // Whatever comes of it: the interval would keep the test's process alive.
      const { status } = await quick.reply('POST').finally(() => clearInterval(timer));
      assert.equal(status, 200);
      quick.destroy();
    });
    await t.test(`${name}: who does not take its answer is cut off, who does gets all of it`, async () => {
      const before = await gateway.metric('runnel_dropped_total', 'reason="slow_reply"');
      const slow = await RawClient.connect(port);
      slow.socket.pause();
      slow.send('GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n');
      await until(
        'the slow client to be counted',
        async () => (await gateway.metric('runnel_dropped_total', 'reason="slow_reply"')) > before,
      );
      slow.socket.resume();
      await slow.ended();
      const reply = await rawRequest(port, 'GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n');
      assert.equal(reply.body.length, 8 << 20);
    });
    await t.test(`${name}: a client that says too much is closed with 1008`, async () => {
      const socket = await TestSocket.open(`ws://127.0.0.1:${port}/live`);
      for (let count = 0; count < 200; count++) socket.ws.send(`message ${count}`);
      assert.equal((await socket.closed).code, 1008);
    });
    await t.test(`${name}: few messages, but too many bytes: the same`, async () => {
      const socket = await TestSocket.open(`ws://127.0.0.1:${port}/bytes`);
      for (let count = 0; count < 10; count++) socket.ws.send('x'.repeat(5000));
      assert.equal((await socket.closed).code, 1008);
    });
  }
  assert.equal(await gateway.metric('runnel_dropped_total', 'reason="too_many_messages"', 'route="/live"'), 2);
  assert.equal(await gateway.metric('runnel_dropped_total', 'reason="too_many_messages"', 'route="/bytes"'), 2);
  assert.equal(gateway.log.filter((line) => line.level === 'error').length, 0);
});

test('connections in all and from one address', async (t) => {
  const gateway = await startBoth(t, {
    config: `${ROUTES}
[connections]
exempt = []
max = 12
max_per_address = 5
`,
    files: FILES,
  });
  for (const [name, port] of gateway.engines) {
    await t.test(`${name}: the sixth of one address is let go, again and again`, async () => {
      for (let round = 0; round < 3; round++) {
        const clients: RawClient[] = [];
        for (let count = 0; count < 5; count++) clients.push(await RawClient.connect(port));
        await until('five', async () => (await gateway.metric('runnel_connections', `listener`)) === 5);
        const sixth = await RawClient.connect(port);
        await sixth.ended();
        for (const client of clients) client.destroy();
        await until('none', async () => (await gateway.metric('runnel_connections', 'listener')) === 0);
        assert.equal((await ask(port, '/a.txt')).status, 200);
      }
    });
  }
  assert.equal(await gateway.metric('runnel_connections_refused_total', 'limit="address"'), 6);
  await t.test('where nobody says who has left, the kernel is asked', async () => {
    const [, port] = gateway.engines[0] ?? ['uws', 0];
    const clients: RawClient[] = [];
    // Linux has the whole of 127.0.0.0/8.
    for (let count = 0; count < 5; count++) clients.push(await connectFrom('127.0.0.2', port));
    const other = await connectFrom('127.0.0.3', port);
    clients[0]?.destroy();
    await until('one to be gone', async () => (await gateway.metric('runnel_connections', 'listener')) === 5);
    const again = await connectFrom('127.0.0.2', port);
    again.send('GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal((await again.reply()).status, 200);
    for (const client of [...clients, other, again]) client.destroy();
  });
});

async function connectFrom(localAddress: string, port: number): Promise<RawClient> {
  return await RawClient.connect({ host: '127.0.0.1', port, localAddress });
}
