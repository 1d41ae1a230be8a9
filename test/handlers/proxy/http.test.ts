/** Requests through a proxy route on both engines, to a server of Node's: what each side gets of the other. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { startBoth } from '../../support/both-engines.ts';
import { ask } from '../../support/client.ts';
import { folderWith } from '../../support/gateway.ts';
import { descriptorsOf, memoryOf, until } from '../../support/processes.ts';
import { RawClient, rawRequest } from '../../support/raw.ts';
import { httpUpstream } from '../../support/upstream.ts';

function route(path: string, port: number, more = ''): string {
  return `[proxy."${path}"]\nupstream = "http://127.0.0.1:${port}"\n${more}\n`;
}

/** Says what it was sent. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, {
    'Content-Type': request.headers['content-type'] ?? 'text/plain',
    'X-Method': request.method,
  });
  if (request.headers['content-length'] === undefined && request.headers['transfer-encoding'] === undefined)
    response.end('no body');
  else request.pipe(response);
}

test('methods, bodies and targets', async (t) => {
  const upstream = await httpUpstream(t, echo);
  const gateway = await startBoth(t, { config: route('/app/', upstream.port) });
  for (const [engine, port] of gateway.engines) {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT']) {
      const body = method === 'GET' ? undefined : Buffer.from(`${method}\0\xff`, 'latin1');
      const reply = await ask(port, '/app/x?a=b', {
        method,
        ...(body === undefined ? {} : { body, headers: { 'content-length': String(body.length) } }),
      });
      assert.equal(reply.status, 200, `${engine} ${method}`);
      assert.equal(reply.headers['x-method'], method);
      assert.equal(reply.body, body === undefined ? 'no body' : body.toString());
      const asked = upstream.asked.at(-1);
      assert.deepEqual([asked?.method, asked?.url], [method, '/app/x?a=b']);
      assert.equal(asked?.header('content-length'), body?.length.toString());
      assert.equal(asked?.header('transfer-encoding'), undefined);
    }
    // An empty body has a length, too.
    await ask(port, '/app/', { method: 'POST', headers: { 'content-length': '0' } });
    assert.equal(upstream.asked.at(-1)?.header('content-length'), '0');
    // Chunks come as one body with its length; trailers do not come.
    const chunked = await rawRequest(
      port,
      'POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    );
    assert.equal(String(chunked.body), 'abcde');
    assert.equal(upstream.asked.at(-1)?.header('content-length'), '5');
    assert.equal(upstream.asked.at(-1)?.header('trailer'), undefined);
    const connect = await rawRequest(port, 'CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: a\r\n\r\n').catch(() => undefined);
    assert.ok((connect?.status ?? 405) >= 400);
    assert.equal((await ask(port, '/app/', { method: 'TRACE' })).status, 405);
  }
  assert.equal(upstream.asked.filter(({ method }) => method === 'CONNECT' || method === 'TRACE').length, 0);
  // One after the other: they need not have been made anew.
  assert.ok(upstream.connections() <= 4, `${upstream.connections()} connections`);
});

test('what the upstream is told, and what it is not', async (t) => {
  const upstream = await httpUpstream(t, (_, response) => response.end('ok'));
  const gateway = await startBoth(t, {
    config: `${route('/keep/', upstream.port)}
${route('/own/', upstream.port, 'host = "upstream"\nstrip_prefix = true\nrequest_headers = { X-Api-Key = "k", User-Agent = "" }')}
${route('/rfc', upstream.port, 'forwarded = "forwarded"')}`,
  });
  for (const [, port] of gateway.engines) {
    const get = async (path: string): Promise<string[]> => {
      await rawRequest(
        port,
        `GET ${path} HTTP/1.1\r\nHost: Board.test:8080\r\nConnection: keep-alive, X-Hop\r\nX-Hop: a\r\nX-Forwarded-For: 127.0.0.1\r\nForwarded: for=evil\r\nX_Forwarded_For: evil\r\nUser-Agent: test\r\nProxy: evil\r\n\r\n`,
      );
      const [last] = upstream.asked.slice(-1);
      return (last?.headers ?? [])
        .map(([name, value]) => `${name}: ${value}`)
        .map((line) =>
          line.replace(/runnel-[0-9a-f]{12}$/, 'runnel-ID').replace(/^(x-request-id: )[0-9a-f]+-[0-9a-z]+$/, '$1ID'),
        );
    };
    assert.deepEqual(await get('/keep/x'), [
      'host: Board.test:8080',
      'user-agent: test',
      'x-forwarded-for: 127.0.0.1',
      'x-forwarded-proto: http',
      'x-forwarded-host: Board.test:8080',
      'x-request-id: ID',
      'via: 1.1 runnel-ID',
      'connection: keep-alive',
    ]);
    assert.deepEqual(await get('/own/x/../y%2f'), [
      `host: 127.0.0.1:${upstream.port}`,
      'x-forwarded-for: 127.0.0.1',
      'x-forwarded-proto: http',
      'x-forwarded-host: Board.test:8080',
      'x-forwarded-prefix: /own',
      'x-request-id: ID',
      'x-api-key: k',
      'via: 1.1 runnel-ID',
      'connection: keep-alive',
    ]);
    assert.equal(upstream.asked.at(-1)?.url, '/y%2F');
    assert.deepEqual((await get('/rfc')).slice(2, 3), ['forwarded: for=127.0.0.1;host="Board.test:8080";proto=http']);
  }
});

test('what the client gets', async (t) => {
  const upstream = await httpUpstream(t, (request, response) => {
    const at = request.url ?? '';
    if (at === '/redirect') response.writeHead(302, { Location: `http://${request.headers.host}/next?x=1` }).end();
    else if (at === '/cookie')
      response
        .writeHead(200, [
          ['Set-Cookie', 'a=1; Path=/'],
          ['Set-Cookie', 'b=2; Path=/x; HttpOnly'],
        ] as never)
        .end('ok');
    else if (at === '/length')
      response.writeHead(200, 'Fine', { 'Content-Length': '5', 'X-A': 'b', Server: 'its own' }).end('12345');
    else if (at === '/304') response.writeHead(304, { ETag: '"a"' }).end();
    else if (at === '/204') response.writeHead(204).end();
    else if (at === '/404') response.writeHead(404, { 'Content-Type': 'text/html' }).end('<h1>not here</h1>');
    else if (at === '/chunks')
      response.writeHead(200, { Trailer: 'X-T' }).write('abc', () => {
        response.addTrailers({ 'X-T': 'a' });
        response.end('def');
      });
    else if (at === '/range')
      response.writeHead(206, { 'Content-Range': 'bytes 1-2/5', 'Content-Length': '2' }).end('23');
    else if (at === '/gzip')
      response
        .writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Length': '4' })
        .end(Buffer.from([0x1f, 0x8b, 0, 0xff]));
    else if (at === '/hints') {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.end('after');
    } else response.writeHead(999).end();
  });
  const gateway = await startBoth(t, {
    config: route(
      '/app/',
      upstream.port,
      'strip_prefix = true\nheaders = { X-Frame-Options = "DENY", Server = "runnel" }',
    ),
  });
  for (const [engine, port] of gateway.engines) {
    const get = (path: string, method = 'GET') =>
      rawRequest(port, `${method} /app/${path} HTTP/1.1\r\nHost: board.test\r\nRange: bytes=1-2\r\n\r\n`, method);
    assert.equal((await get('redirect')).header('location'), '/app/next?x=1');
    const cookies = (await get('cookie')).headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value);
    assert.deepEqual(cookies, ['a=1; Path=/app/', 'b=2; Path=/app/x; HttpOnly']);
    const length = await get('length');
    assert.deepEqual([length.status, length.reason, String(length.body)], [200, 'Fine', '12345']);
    assert.deepEqual(
      ['content-length', 'x-a', 'server', 'x-frame-options'].map((name) => length.header(name)),
      ['5', 'b', 'its own', 'DENY'],
    );
    const head = await get('length', 'HEAD');
    assert.deepEqual([head.status, head.header('content-length'), head.body.length], [200, '5', 0], engine);
    const unchanged = await get('304');
    assert.deepEqual([unchanged.status, unchanged.header('etag')], [304, '"a"']);
    assert.equal((await get('204')).status, 204);
    assert.equal(String((await get('404')).body), '<h1>not here</h1>');
    const chunks = await get('chunks');
    assert.deepEqual([String(chunks.body), chunks.complete, chunks.header('trailer')], ['abcdef', true, undefined]);
    const range = await get('range');
    assert.deepEqual([range.status, range.header('content-range'), String(range.body)], [206, 'bytes 1-2/5', '23']);
    assert.equal(upstream.asked.at(-1)?.header('range'), 'bytes=1-2');
    assert.deepEqual([...(await get('gzip')).body], [0x1f, 0x8b, 0, 0xff]);
    assert.equal(String((await get('hints')).body), 'after');
    assert.equal((await get('other')).status, 999);
  }
});

test('large bodies in both directions, whole and in bounded memory', async (t) => {
  const SIZE = 120e6;
  const block = randomBytes(1 << 20);
  const total = createHash('sha256');
  for (let sent = 0; sent < SIZE; sent += block.length)
    total.update(block.subarray(0, Math.min(block.length, SIZE - sent)));
  const wanted = total.digest('hex');
  const upstream = await httpUpstream(t, (request, response) => {
    if (request.method === 'PUT') {
      const hash = createHash('sha256');
      request.on('data', (chunk: Buffer) => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')));
      return;
    }
    if (request.url === '/app/length') response.setHeader('Content-Length', String(SIZE));
    let sent = 0;
    const more = (): void => {
      while (sent < SIZE) {
        const piece = block.subarray(0, Math.min(block.length, SIZE - sent));
        sent += piece.length;
        if (!response.write(piece)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  });
  const gateway = await startBoth(t, { config: route('/app/', upstream.port, 'limits = { body = "1GiB" }') });
  await ask(gateway.port, '/app/length');
  const before = memoryOf(gateway.pid, 'RssAnon');
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, memoryOf(gateway.pid, 'RssAnon'));
  }, 20);
  for (const [engine, port] of gateway.engines) {
    for (const path of ['/app/length', '/app/chunked']) {
      const outgoing = httpRequest({ host: '127.0.0.1', port, path, agent: false }).end();
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      const hash = createHash('sha256');
      for await (const chunk of response) hash.update(chunk as Buffer);
      assert.equal(hash.digest('hex'), wanted, `${engine} ${path}`);
    }
  }
  for (const [engine, port] of gateway.engines) {
    const headers = { 'Content-Length': SIZE };
    const upload = httpRequest({ host: '127.0.0.1', port, path: '/app/', method: 'PUT', agent: false, headers });
    for (let sent = 0; sent < SIZE; sent += block.length)
      if (!upload.write(block.subarray(0, Math.min(block.length, SIZE - sent)))) await once(upload, 'drain');
    upload.end();
    const [response] = (await once(upload, 'response')) as [IncomingMessage];
    let said = '';
    for await (const chunk of response) said += String(chunk);
    assert.equal(said, wanted, engine);
  }
  clearInterval(watch);
  assert.ok(most - before < 48_000, `${before} then ${most} KiB`);
});

test('a client that does not read holds its upstream back, and one that leaves ends it', async (t) => {
  let sent = 0;
  let closed = 0;
  const upstream = await httpUpstream(t, (_, response) => {
    const block = Buffer.alloc(65_536);
    const more = (): void => {
      while (!response.destroyed && response.write(block)) sent += block.length;
    };
    response.on('drain', more).on('close', () => closed++);
    more();
  });
  const gateway = await startBoth(t, { config: route('/app/', upstream.port) });
  const before = descriptorsOf(gateway.pid).length;
  for (const [at, [engine, port]] of gateway.engines.entries()) {
    sent = 0;
    const client = await RawClient.connect(port);
    client.send('GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('something came', () => client.received.length > 0);
    client.socket.pause();
    let last = -1;
    for (let rounds = 0; last !== sent && rounds < 200; rounds++) {
      last = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(sent < 60e6, `${engine}: ${sent}`);
    client.destroy();
    await until('the upstream is told', () => closed === at + 1);
  }
  await until('nothing is left', () => upstream.open.size === 0 && descriptorsOf(gateway.pid).length <= before + 2);
});

test('an event stream passes as it comes, and is told that its client has left', async (t) => {
  const streams: ServerResponse[] = [];
  const upstream = await httpUpstream(t, (_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.flushHeaders();
    streams.push(response);
  });
  // Silence does not end it.
  const gateway = await startBoth(t, { config: route('/events', upstream.port, 'idle_timeout = "100ms"') });
  for (const [engine, port] of gateway.engines) {
    const client = await RawClient.connect(port);
    client.send('GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n');
    await until('the head has come', () => String(client.received).includes('\r\n\r\n'));
    await new Promise((resolve) => setTimeout(resolve, 400));
    // uWebSockets.js sends no head without a body.
    assert.equal(String(client.received).split('\r\n\r\n')[1], engine === 'uws' ? '2\r\n:\n' : '', engine);
    const stream = streams.at(-1);
    for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
      stream?.write(text);
      await until('it has come', () => String(client.received).includes(text));
    }
    client.destroy();
    await until('the upstream is told', () => stream?.destroyed === true);
  }
  assert.equal(upstream.asked.length, 2);
});

test('over a Unix socket, which is made later', async (t) => {
  const folder = folderWith(t, {});
  const path = join(folder, 'app.sock');
  const gateway = await startBoth(t, { config: `[proxy."/"]\nupstream = "unix:${path}"\nhost = "upstream"\n` });
  const [, port] = gateway.engines[0] ?? assert.fail();
  const missing = await ask(port, '/');
  assert.equal(missing.status, 502);
  assert.match(missing.body, /id [0-9a-z-]+/);
  const upstream = await httpUpstream(t, (_, response) => response.end('here'), { path });
  for (const [, each] of gateway.engines) assert.equal((await ask(each, '/')).body, 'here');
  assert.equal(upstream.asked[0]?.header('host'), 'localhost');
  const line = await gateway.logged(({ level }) => level === 'error');
  assert.match(line.message, /^the upstream unix:.*app\.sock: .*ENOENT/);
  assert.equal(await gateway.metric('runnel_upstream_requests_total', 'outcome="answered"'), 2);
  assert.equal(await gateway.metric('runnel_upstream_requests_total', 'outcome="refused"'), 1);
});

test('policies are those of every route', async (t) => {
  const upstream = await httpUpstream(t, (_, response) => response.end('ok'));
  const hash = '$2b$04$abcdefghijklmnopqrstuuVUzLLcH7ZKZVvRcuIEnHCAR5GQhN1Ee';
  const gateway = await startBoth(t, {
    config: `${route('/in/', upstream.port, 'auth = { basic = "users" }')}
${route('/cors/', upstream.port, 'cors = { origins = ["https://app.example.org"], methods = ["PUT"] }\ncross_site = "refuse"\nlimits = { body = "10B" }')}
${route('board.test/named/', upstream.port)}`,
    files: { users: `ann:${hash}\n` },
  });
  for (const [, port] of gateway.engines) {
    const before = upstream.asked.length;
    assert.equal((await ask(port, '/in/')).status, 401);
    const preflight = await ask(port, '/cors/', {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example.org', 'access-control-request-method': 'PUT' },
    });
    assert.deepEqual(
      [preflight.status, preflight.headers['access-control-allow-origin']],
      [204, 'https://app.example.org'],
    );
    assert.equal((await ask(port, '/cors/', { method: 'POST', headers: { origin: 'https://evil.test' } })).status, 403);
    assert.equal((await ask(port, '/cors/', { method: 'POST', body: 'more than ten' })).status, 413);
    assert.equal((await ask(port, '/named/')).status, 404);
    assert.equal(upstream.asked.length, before);
    assert.equal((await ask(port, '/named/', { headers: { host: 'board.test' } })).body, 'ok');
    const redirect = await ask(port, '/cors');
    assert.deepEqual([redirect.status, redirect.headers.location], [301, './cors/']);
  }
});
