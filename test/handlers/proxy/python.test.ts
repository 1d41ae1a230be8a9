/** Servers and applications in Python behind a proxy route as docs/proxy.md configures it: http.server, uvicorn, aiohttp and the websockets package. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type BothEngines, startBoth } from '../../support/both-engines.ts';
import { ask, refused, TestSocket } from '../../support/client.ts';
import { folderWith } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';
import { soon } from '../../support/proxy.ts';
import { PYTHON, recipe, startApplication } from '../../support/recipe.ts';

const PACKAGES = '/usr/lib/python3/dist-packages';
const needs = (name: string): string | false =>
  (PYTHON === '' || !existsSync(`${PACKAGES}/${name}`)) && `needs python3-${name}`;

const FILES = {
  'site/index.html': '<h1>old</h1>',
  'site/data.bin': Buffer.alloc(300_000, 'abc'),
  'site/sub/a b.txt': 'a',
};

test('http.server', { skip: PYTHON === '' && 'needs python3' }, async (t) => {
  const folder = folderWith(t, FILES);
  const port = await freePort();
  startApplication(
    t,
    PYTHON,
    ['-m', 'http.server', '--bind', '127.0.0.1', '--directory', 'site', String(port)],
    folder,
  );
  await soon(
    () => ask(port, '/'),
    () => '',
  );
  const gateway = await startBoth(t, { config: await recipe(t, 'A server in Python', port) });
  for (const [engine, own] of gateway.engines) {
    assert.equal((await ask(own, '/files/')).body, '<h1>old</h1>', engine);
    assert.equal((await ask(own, '/files/data.bin')).body.length, 300_000, engine);
    // It knows of no ranges, and nobody makes one for it.
    const part = await ask(own, '/files/data.bin', { headers: { range: 'bytes=0-9' } });
    assert.deepEqual([part.status, part.body.length], [200, 300_000], engine);
    assert.equal((await ask(own, '/files/missing')).status, 404, engine);
    assert.equal((await ask(own, '/files/index.html', { method: 'PUT', body: 'x' })).status, 501, engine);
    const head = await ask(own, '/files/data.bin', { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '300000', ''], engine);
    const since = String(head.headers['last-modified']);
    assert.equal((await ask(own, '/files/data.bin', { headers: { 'if-modified-since': since } })).status, 304, engine);
    const folderWithoutSlash = await ask(own, '/files/sub?x=1');
    assert.deepEqual(
      [folderWithoutSlash.status, folderWithoutSlash.headers.location],
      [301, '/files/sub/?x=1'],
      engine,
    );
    // Its listing has relative links, which lead to where they are.
    const listing = await ask(own, '/files/sub/');
    const [, link = ''] = /<a href="([^"]+)"/.exec(listing.body) ?? [];
    const { pathname } = new URL(link, `http://board.test/files/sub/`);
    assert.equal((await ask(own, pathname)).body, 'a', engine);
  }
});

/** An ASGI application: what it was asked, an upload's size, a body in pieces, and a WebSocket. */
const ASGI = `
import hashlib
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        if scope["path"] != "/app/live":
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": "websocket.accept", "subprotocol": "chat" if "chat" in scope["subprotocols"] else None})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                print("left", message.get("code"), flush=True)
                return
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4001, "reason": "bye"})
                return
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
    size, digest, more = 0, hashlib.sha256(), True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        digest.update(message.get("body", b""))
    if scope["path"] == "/app/slow":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for at in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\\n\\n" % at, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    text = "%s %s %s %s %s %d %s" % (scope["method"], scope["scheme"], scope["client"][0], scope["path"], scope["query_string"].decode(), size, digest.hexdigest()[:8])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})
`;

/** The same with aiohttp, where a client that leaves cancels the handler. */
const AIOHTTP = (port: number): string => `
import hashlib
from aiohttp import web, WSMsgType
async def answer(request):
    body = await request.read()
    return web.Response(text="%s %s %s %s %s %d %s" % (request.method, request.headers.get("X-Forwarded-Proto"), request.headers.get("X-Forwarded-For"), request.path, request.query_string, len(body), hashlib.sha256(body).hexdigest()[:8]))
async def slow(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for at in range(3):
        await response.write(b"data: %d\\n\\n" % at)
    return response
async def live(request):
    socket = web.WebSocketResponse(protocols=("chat",), max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT and message.data == "bye":
            await socket.close(code=4001, message=b"bye")
        elif message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)
    print("left", socket.close_code, flush=True)
    return socket
async def none(request):
    raise web.HTTPForbidden()
app = web.Application(client_max_size=64 << 20)
app.add_routes([web.get("/app/slow", slow), web.get("/app/live", live), web.get("/app/none", none), web.route("*", "/app/{path:.*}", answer)])
web.run_app(app, host="127.0.0.1", port=${port}, print=None, access_log=None)
`;

import { freePort } from '../../support/ports.ts';

/** What each of the two has to do through the route. */
async function tryApplication(gateway: BothEngines, lines: readonly string[]): Promise<void> {
  const large = Buffer.alloc(3_000_000, 'upload');
  for (const [engine, port] of gateway.engines) {
    const got = await ask(port, '/app/a%20b?x=1&y=2', { localAddress: '127.0.0.2' });
    assert.equal(got.body, 'GET http 127.0.0.2 /app/a b x=1&y=2 0 e3b0c442', engine);
    for (const fields of [{ 'content-length': String(large.length) }, { 'transfer-encoding': 'chunked' }]) {
      // uvicorn takes nobody for its client who has the address of a proxy.
      const put = await ask(port, '/app/up', {
        method: 'PUT',
        body: large,
        headers: fields,
        localAddress: '127.0.0.2',
      });
      assert.equal(put.body, 'PUT http 127.0.0.2 /app/up  3000000 5dfafe3c', engine);
    }
    assert.equal((await ask(port, '/app/slow')).body.replace(/^:\n/, ''), 'data: 0\n\ndata: 1\n\ndata: 2\n\n', engine);

    const url = `ws://127.0.0.1:${port}/app`;
    const client = await TestSocket.open(`${url}/live`, {}, ['other', 'chat']);
    assert.equal(client.ws.protocol, 'chat', engine);
    client.ws.send('caf\u00e9');
    client.ws.send(Buffer.alloc(2_000_000, 1));
    const [text, binary] = await client.first(2);
    assert.deepEqual([text, binary?.length, client.binary], ['caf\u00e9', 2_000_000, [false, true]], engine);
    client.ws.send('bye');
    assert.deepEqual(await client.closed, { code: 4001, reason: 'bye' }, engine);
    const before = lines.length;
    const other = await TestSocket.open(`${url}/live`);
    other.ws.close(4002, 'enough');
    await until(`${engine}: it is told why`, () => lines.slice(before).includes('left 4002'));
    assert.equal((await refused(`${url}/none`)).status, 403, engine);
  }
}

async function start(
  t: TestContext,
  args: (port: number) => readonly string[],
  files: { readonly [name: string]: string } | ((port: number) => { readonly [name: string]: string }),
): Promise<{ readonly gateway: BothEngines; readonly lines: readonly string[] }> {
  const port = await freePort();
  const folder = folderWith(t, typeof files === 'function' ? files(port) : files);
  const { lines } = startApplication(t, PYTHON, args(port), folder);
  await soon(
    () => ask(port, '/app/'),
    () => lines.join('\n'),
  );
  return { gateway: await startBoth(t, { config: await recipe(t, 'An application in Python', port) }), lines };
}

test('uvicorn, which has an ASGI application', { skip: needs('uvicorn') || needs('websockets') }, async (t) => {
  const flags = ['--ws', 'websockets', '--log-level', 'warning', '--proxy-headers'];
  const { gateway, lines } = await start(
    t,
    (port) => ['-m', 'uvicorn', 'app:app', '--host', '127.0.0.1', '--port', String(port), ...flags],
    { 'app.py': ASGI },
  );
  await tryApplication(gateway, lines);
});

test('aiohttp', { skip: needs('aiohttp') }, async (t) => {
  const { gateway, lines } = await start(
    t,
    () => ['app.py'],
    (port) => ({ 'app.py': AIOHTTP(port) }),
  );
  await tryApplication(gateway, lines);
});
