/** What becomes of a client whose upstream fails, at each stage and in each way, on both engines; and that the next one is served. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer as createSecureServer } from 'node:tls';
import { type BothEngines, startBoth } from '../../support/both-engines.ts';
import { Authority } from '../../support/certificates.ts';
import { ask } from '../../support/client.ts';
import { startPeer } from '../../support/peer.ts';
import { freePort } from '../../support/ports.ts';
import { connectionsOf, descriptorsOf, until } from '../../support/processes.ts';
import { RawClient, type RawReply, rawRequest } from '../../support/raw.ts';
import { httpUpstream } from '../../support/upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const GET = 'GET /app/x HTTP/1.1\r\nHost: board.test\r\n\r\n';
const TIMES = 'connect_timeout = "500ms"\ntimeout = "500ms"\nidle_timeout = "500ms"\nkeep_alive = "0ms"';

interface Failure {
  /** What the upstream does once it has been asked; a text is what it says before it ends the connection. */
  readonly does: string | ((socket: Socket) => void);
  /** Undefined: the answer has a head, and is cut. */
  readonly status?: number;
  readonly outcome: string;
  readonly log: RegExp;
}

const says = (text: string, then: (socket: Socket) => void) => (socket: Socket) =>
  void socket.write(text, 'latin1', () => then(socket));
const reset = (socket: Socket): void => void socket.resetAndDestroy();
const silent = (): void => undefined;
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n';

const FAILURES: { readonly [name: string]: Failure } = {
  'ends before the head': {
    does: '',
    status: 502,
    outcome: 'closed',
    log: /closed the connection too early \(without a response\)/,
  },
  'resets before the head': { does: reset, status: 502, outcome: 'closed', log: /closed the connection too early/ },
  'ends within the head': { does: HEAD, status: 502, outcome: 'closed', log: /within the head of its response/ },
  'resets within the head': {
    does: says(HEAD, reset),
    status: 502,
    outcome: 'closed',
    log: /closed the connection too early/,
  },
  'is silent before the head': {
    does: silent,
    status: 504,
    outcome: 'timeout',
    log: /did not answer in time \(the head of its response was not there within 500 ms\)/,
  },
  'is silent within the head': {
    does: says(HEAD, silent),
    status: 504,
    outcome: 'timeout',
    log: /the head of its response/,
  },
  'says its head without an end, little by little': {
    does: says(HEAD, (socket) => {
      const timer = setInterval(() => socket.write('X: a\r\n'), 50);
      socket.on('close', () => clearInterval(timer));
    }),
    status: 504,
    outcome: 'timeout',
    log: /the head of its response was not there/,
  },
  'says without an end that its answer will come': {
    does: (socket) => {
      const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 50);
      socket.on('close', () => clearInterval(timer));
    },
    status: 504,
    outcome: 'timeout',
    log: /the head of its response was not there/,
  },
  'says garbage': {
    does: 'SSH-2.0-OpenSSH_9.2\r\n',
    status: 502,
    outcome: 'invalid',
    log: /what it answers is not HTTP/,
  },
  'says garbage without a line': {
    does: '\0\x01\x02',
    status: 502,
    outcome: 'invalid',
    log: /what it answers is not HTTP/,
  },
  'says a head of 1 MB': {
    does: `${HEAD}X: ${'a'.repeat(1 << 20)}\r\n\r\n`,
    status: 502,
    outcome: 'invalid',
    log: /the head of its response is too large/,
  },
  'says two lengths': {
    does: `${HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc`,
    status: 502,
    outcome: 'invalid',
    log: /two lengths \(2 and 3\)/,
  },
  'says another coding': {
    does: `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    status: 502,
    outcome: 'invalid',
    log: /transfer coding/,
  },
  'says bad chunks at once': {
    does: `${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    status: 502,
    outcome: 'invalid',
    log: /invalid chunks/,
  },
  'switches without being asked': {
    does: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    status: 502,
    outcome: 'invalid',
    log: /switches to a protocol/,
  },
  'ends within a body of known length': {
    does: `${HEAD}Content-Length: 9\r\n\r\nabc`,
    outcome: 'answered',
    log: /closed the connection too early/,
  },
  'resets within a body of known length': {
    does: says(`${HEAD}Content-Length: 9\r\n\r\nabc`, reset),
    outcome: 'answered',
    log: /closed the connection too early/,
  },
  'ends within chunks': {
    does: `${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
    outcome: 'answered',
    log: /closed the connection too early/,
  },
  'ends within a chunk': {
    does: `${HEAD}Transfer-Encoding: chunked\r\n\r\n9\r\nabc`,
    outcome: 'answered',
    log: /closed the connection too early/,
  },
  'resets a body that ends with the connection': {
    does: says(`${HEAD}\r\nabc`, (socket) => setTimeout(reset, 50, socket)),
    outcome: 'answered',
    log: /closed the connection too early/,
  },
  'is silent within a body': {
    does: says(`${HEAD}Content-Length: 9\r\n\r\nabc`, silent),
    outcome: 'answered',
    log: /did not answer in time/,
  },
  'says bad chunks later': {
    does: says(`${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`, (socket) =>
      setTimeout(() => socket.end('zz\r\n'), 50),
    ),
    outcome: 'answered',
    log: /invalid chunks/,
  },
};

/** Answers with what it is told to, after the request's head. */
async function peerThat(t: TestContext, does: () => Failure['does']): Promise<number> {
  const peer = await startPeer(t, (socket) => {
    let asked = '';
    socket.on('data', (chunk: Buffer) => {
      asked += chunk.toString('latin1');
      if (!asked.includes('\r\n\r\n')) return;
      asked = '';
      const how = does();
      if (typeof how === 'string') socket.end(how, 'latin1');
      else how(socket);
    });
    socket.on('end', () => socket.end());
  });
  return peer.port;
}

function routeTo(port: number, more = TIMES): string {
  return `[proxy."/app/"]\nupstream = "http://127.0.0.1:${port}"\n${more}\n`;
}

/** The reply, or undefined where the connection was closed without one. */
async function get(port: number): Promise<RawReply | undefined> {
  const client = await RawClient.connect(port);
  client.send(GET);
  return await client
    .reply()
    .catch(() => undefined)
    .finally(() => client.destroy());
}

test('each failure is told to the client, to the log and to the metric, and the next request is served', async (t) => {
  let does: Failure['does'] = OK;
  const upstream = await peerThat(t, () => does);
  const gateway = await startBoth(t, { config: routeTo(upstream) });
  const outcomes = (outcome: string) => gateway.metric('runnel_upstream_requests_total', `outcome="${outcome}"`);
  const before = descriptorsOf(gateway.pid).length;
  for (const [name, failure] of Object.entries(FAILURES))
    for (const [engine, port] of gateway.engines) {
      const what = `${engine}: it ${name}`;
      const counted = await outcomes(failure.outcome);
      const lines = gateway.log.length;
      does = failure.does;
      const reply = await get(port);
      if (failure.status === undefined) {
        assert.notEqual(reply?.complete, true, what);
        assert.ok(reply === undefined || reply.status === 200, what);
      } else {
        assert.equal(reply?.status, failure.status, what);
        assert.match(String(reply?.body), /id [\w-]+/, what);
      }
      const said = () =>
        gateway.log
          .slice(lines)
          .map((line) => JSON.stringify(line))
          .join('\n');
      await until(`${what}: the log says why`, () => failure.log.test(said()));
      assert.match(said(), new RegExp(`http://127\\.0\\.0\\.1:${upstream}`), what);
      assert.equal(await outcomes(failure.outcome), counted + 1, what);
      does = OK;
      const next = await get(port);
      assert.deepEqual([next?.status, String(next?.body)], [200, 'ok'], what);
    }
  await until('nothing is left open', () => descriptorsOf(gateway.pid).length <= before + 4);
});

test('2,000 fields are passed on', async (t) => {
  const fields = Array.from({ length: 2000 }, (_, at) => `X-${at}: a\r\n`).join('');
  const upstream = await peerThat(t, () => `HTTP/1.1 200 OK\r\n${fields}Content-Length: 2\r\n\r\nok`);
  const gateway = await startBoth(t, { config: routeTo(upstream) });
  for (const [engine, port] of gateway.engines) {
    const reply = await get(port);
    assert.equal(reply?.headers.filter(([name]) => /^x-\d+$/.test(name)).length, 2000, engine);
    assert.equal(String(reply?.body), 'ok');
  }
});

test('no connection: nobody there, no such name, nobody who accepts; and one that comes back is used at once', async (t) => {
  const port = await freePort();
  const gateway = await startBoth(t, {
    config: `${routeTo(port)}[proxy."/name/"]\nupstream = "http://no-such-host.invalid"\n`,
  });
  for (const [, each] of gateway.engines) {
    assert.equal((await get(each))?.status, 502);
    assert.equal((await ask(each, '/name/')).status, 502);
  }
  await gateway.logged(({ message }) => /nothing listens there/.test(message));
  await gateway.logged(({ message }) => /http:\/\/no-such-host\.invalid: its host name/.test(message));
  const upstream = await httpUpstream(t, (_, response) => response.end('back'), { port });
  for (const [, each] of gateway.engines) assert.equal(String((await get(each))?.body), 'back');
  assert.equal(upstream.asked.length, 2);
});

test('a kept connection that has just died: GET, PUT and DELETE are asked once more, POST is not', async (t) => {
  const requests: string[] = [];
  const peer = await startPeer(t, (socket) => {
    let asked = 0;
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      requests.push(text.split(' ')[0] ?? '');
      text = '';
      // The second request of each connection finds it dead.
      if (asked++ === 0) socket.write(OK);
      else socket.resetAndDestroy();
    });
  });
  const gateway = await startBoth(t, { config: routeTo(peer.port, '') });
  const [, port] = gateway.engines[0] ?? assert.fail();
  for (const [method, status] of [
    ['GET', 200],
    ['PUT', 200],
    ['DELETE', 200],
    ['POST', 502],
  ] as const) {
    await get(port);
    requests.length = 0;
    assert.equal(
      (
        await ask(port, '/app/x', {
          method,
          body: method === 'GET' ? '' : 'a',
          headers: { 'content-length': method === 'GET' ? '0' : '1' },
        })
      ).status,
      status,
      method,
    );
    assert.deepEqual(requests, status === 200 ? [method, method] : [method]);
  }
});

test('kept connections are bounded in number and in time', async (t) => {
  const held: (() => void)[] = [];
  const upstream = await httpUpstream(t, (_, response) => {
    held.push(() => response.end('ok'));
    if (held.length === 8) for (const answer of held) answer();
  });
  const gateway = await startBoth(t, { config: routeTo(upstream.port, 'max_idle = 2\nkeep_alive = "300ms"') });
  const [, port] = gateway.engines[0] ?? assert.fail();
  const bodies = await Promise.all(Array.from({ length: 8 }, () => ask(port, '/app/')));
  assert.ok(bodies.every(({ body }) => body === 'ok'));
  assert.equal(upstream.connections(), 8);
  await until('two are kept', () => upstream.open.size <= 2);
  await until('and only for a while', () => upstream.open.size === 0);
});

test('so many connections at once, so many that wait, and for so long', async (t) => {
  const gate = { open: (): void => undefined };
  const opened = new Promise<void>((resolve) => {
    gate.open = resolve;
  });
  const upstream = await httpUpstream(t, (_, response) => void opened.then(() => response.end('ok')));
  const limits = 'max_connections = 2\nmax_waiting = 1\nqueue_timeout = "300ms"';
  const gateway = await startBoth(t, { config: routeTo(upstream.port, limits) });
  const [, port] = gateway.engines[0] ?? assert.fail();
  const two = [ask(port, '/app/1'), ask(port, '/app/2')];
  await until('both are asked', () => upstream.asked.length === 2);
  const waiting = ask(port, '/app/3');
  await until('another one is too many', async () => (await ask(port, '/app/4')).status === 503);
  const late = await waiting;
  assert.deepEqual([late.status, late.headers['retry-after']], [503, '5']);
  gate.open();
  assert.deepEqual(
    (await Promise.all(two)).map(({ body }) => body),
    ['ok', 'ok'],
  );
  assert.equal(upstream.asked.length, 2);
  assert.equal(await gateway.metric('runnel_busy_total', 'reason="timeout"'), 1);
  assert.ok((await gateway.metric('runnel_busy_total', 'reason="full"')) >= 1);
});

test('an answer before the body is over, and an upstream that does not want the rest', async (t) => {
  const peer = await startPeer(t, (socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge');
    });
  });
  const gateway = await startBoth(t, { config: routeTo(peer.port, 'limits = { body = "64MB" }') });
  for (const [engine, port] of gateway.engines) {
    const body = Buffer.alloc(20e6);
    const reply = await ask(port, '/app/', { method: 'PUT', body, headers: { 'content-length': String(body.length) } });
    assert.deepEqual([reply.status, reply.body], [413, 'large'], engine);
  }
  await until('the connections are gone', () =>
    peer.sockets.every(({ destroyed, readableEnded }) => destroyed || readableEnded),
  );
});

test('a proxy to itself ends with 508', async (t) => {
  const port = await freePort();
  const config = `[[listen]]\naddress = "127.0.0.1:${port}"\n`;
  const gateway = await startBoth(t, { config: `${config}${routeTo(port, '')}` });
  for (const [, each] of gateway.engines) assert.equal((await get(each))?.status, 508);
  const line = await gateway.logged(({ message }) => message.includes('came back to this route'));
  assert.match(line.message, new RegExp(`http://127\\.0\\.0\\.1:${port}`));
});

test('a client that leaves at any moment ends what was begun for it', async (t) => {
  const upstream = await peerThat(t, () => silent);
  const gateway = await startBoth(t, { config: routeTo(upstream, '') });
  const before = descriptorsOf(gateway.pid).length;
  for (const [, port] of gateway.engines)
    for (let turns = 0; turns < 10; turns++) {
      const client = await RawClient.connect(port);
      client.send(GET);
      await new Promise((resolve) => setTimeout(resolve, turns * 2));
      client.destroy();
    }
  const left = (): string => `nothing is left open; it has ${connectionsOf(gateway.pid).join(', ')}`;
  await until(left, () => descriptorsOf(gateway.pid).length <= before);
  assert.ok((await gateway.metric('runnel_upstream_requests_total', 'outcome="left"')) > 0);
});

test('https: an authority of ours, a pin, a name; and what is not accepted', async (t) => {
  const authority = new Authority();
  const made = authority.server(['board.test', 'localhost']);
  const names: (string | false)[] = [];
  const server = createSecureServer(
    { cert: made.certificate, key: made.pem, ALPNProtocols: ['http/1.1'] },
    (socket) => {
      names.push((socket as typeof socket & { servername: string | false }).servername);
      socket.on('error', () => undefined).once('data', () => socket.end(OK));
    },
  );
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const key = new X509Certificate(made.certificate).publicKey.export({ type: 'spki', format: 'der' });
  const pin = `sha256//${createHash('sha256').update(key).digest('base64')}`;
  const other = `sha256//${'A'.repeat(43)}=`;
  const rows: { readonly [path: string]: readonly [status: number, keys: string] } = {
    ca: [200, 'ca = "ca.pem"\nserver_name = "board.test"'],
    pin: [200, `pin = ["${other}", "${pin}"]`],
    both: [200, `ca = "ca.pem"\nserver_name = "localhost"\npin = ["${pin}"]`],
    unknown: [502, ''],
    'wrong-name': [502, 'ca = "ca.pem"'],
    'wrong-pin': [502, `pin = ["${other}"]`],
    'wrong-authority': [502, 'ca = "other.pem"\nserver_name = "board.test"'],
    'pin-of-another-name': [502, `ca = "ca.pem"\npin = ["${pin}"]`],
  };
  const config = Object.entries(rows)
    .map(([path, [, keys]]) => `[proxy."/${path}"]\nupstream = "https://127.0.0.1:${port}"\n${keys}\n`)
    .join('');
  const gateway = await startBoth(t, {
    config: `${config}[proxy."/plain"]\nupstream = "http://127.0.0.1:${port}"\n[proxy."/tls-to-plain"]\nupstream = "https://127.0.0.1:${await peerThat(t, () => OK)}"\nconnect_timeout = "1s"\n`,
    files: { 'ca.pem': authority.certificate, 'other.pem': new Authority('Another').certificate },
  });
  const [, own] = gateway.engines[0] ?? assert.fail();
  for (const [path, [status]] of Object.entries(rows)) assert.equal((await ask(own, `/${path}`)).status, status, path);
  assert.deepEqual(names, ['board.test', false, 'localhost']);
  assert.equal(await gateway.metric('runnel_upstream_requests_total', 'outcome="certificate"'), 5);
  await gateway.logged(({ message }) => /its certificate is not accepted \(CERT_KEY_NOT_PINNED/.test(message));
  assert.equal((await ask(own, '/plain')).status, 502);
  assert.ok([502, 504].includes((await ask(own, '/tls-to-plain')).status));
});

test('a gateway that is told to stop lets requests under way finish, and leaves no connection', async (t) => {
  const gate: { open?: () => void } = {};
  const upstream = await httpUpstream(t, (_, response) => {
    gate.open = () => response.end('late');
  });
  const gateway: BothEngines = await startBoth(t, { config: routeTo(upstream.port, '') });
  const [, port] = gateway.engines[0] ?? assert.fail();
  const asked = rawRequest(port, GET);
  await until('it is asked', () => gate.open !== undefined);
  const stopped = gateway.stop();
  await gateway.logged(({ message }) => message.includes('stopping'));
  gate.open?.();
  assert.equal(String((await asked).body), 'late');
  assert.equal(await stopped, 0);
  await until('no connection is left', () => upstream.open.size === 0);
});
