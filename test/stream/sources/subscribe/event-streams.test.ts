/** Streams that subscribe to an event stream: one connection for all viewers, resumed where it was. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, TestSocket } from '../../../support/client.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { until } from '../../../support/processes.ts';
import { BACK, failing, startSubscribed } from '../../../support/subscribed.ts';
import { httpUpstream } from '../../../support/upstream.ts';

function begin(response: ServerResponse, type = 'text/event-stream'): void {
  response.writeHead(200, { 'content-type': type });
  response.flushHeaders();
}

test('one connection for every viewer, names and ids of the upstream, and the gateway has ids of its own', async (t) => {
  const open: ServerResponse[] = [];
  const upstream = await httpUpstream(t, (_request, response) => {
    begin(response, 'Text/Event-Stream;charset=UTF-8');
    open.push(response);
  });
  const from = `subscribe = "http://127.0.0.1:${upstream.port}/events?a=1"\n`;
  const running = await startSubscribed(t, {
    '/data': `${from}history = 10\nidle_stop = "10s"`,
    '/event': `${from}message = "event"`,
    '/named': `${from}events = ["state", "message"]`,
  });
  const viewers = await Promise.all([1, 2, 3].map(() => EventClient.open(running.port, '/data')));
  const event = await EventClient.open(running.port, '/event');
  const named = await EventClient.open(running.port, '/named');
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/data`);
  await until('all three are connected', () => open.length === 3);
  for (const response of open) {
    response.write('\ufeff: hello\r\nid: 7\r\nevent: state\r\ndata: {"on":true,\r\ndata: "w":1}\r\n\r\n');
    response.write('event: log\ndata: grün\n\ndata: plain\n\n');
  }
  const data = ['{"on":true,\n"w":1}', 'grün', 'plain'];
  for (const viewer of viewers) assert.deepEqual(await viewer.first(3), data);
  assert.deepEqual(await socket.first(3), data);
  assert.deepEqual(await named.first(2), [data[0], data[2]]);
  const [first = '', ...others] = await event.first(3);
  assert.deepEqual(JSON.parse(first), { event: 'state', data: data[0], id: '7' });
  assert.deepEqual(
    others.map((text) => JSON.parse(text)),
    [
      { event: 'log', data: 'grün' },
      { event: 'message', data: 'plain' },
    ],
  );
  // The ids of viewers are the gateway's.
  const [viewer] = viewers;
  const ids = viewer?.events.filter(({ name }) => name === 'message').map(({ id }) => id ?? '') ?? [];
  assert.equal(new Set(ids).size, 3);
  assert.ok(!ids.includes('7'));
  const resumed = await EventClient.open(running.port, '/data', { 'last-event-id': ids[0] ?? '' });
  assert.deepEqual(await resumed.first(2), data.slice(1));
  assert.equal(open.length, 3);
  const [asked] = upstream.asked;
  assert.equal(asked?.url, '/events?a=1');
  assert.equal(asked?.header('accept'), 'text/event-stream');
  assert.match(asked?.header('user-agent') ?? '', /^runnel\//);
  assert.equal(asked?.header('last-event-id'), undefined);
  for (const each of [...viewers, event, named, resumed]) each.close();
  socket.ws.terminate();
  // The ones that nobody watches any more are ended; `idle_stop` keeps the first.
  await until('two are ended', () => upstream.open.size === 1);
  assert.equal(await running.stop(), 0);
});

test('it goes on behind the last id, and viewers are told only of what they miss', async (t) => {
  let connections = 0;
  const upstream = await httpUpstream(t, (request, response) => {
    connections++;
    const last = Number(request.headers['last-event-id'] ?? 0);
    begin(response);
    response.write(`retry: 20\nid: ${last + 1}\ndata: ${last + 1}\n\nid: ${last + 2}\n\n`);
    // Ended in good order each time, but once.
    if (connections === 3) setTimeout(() => response.destroy(), 10);
    else if (connections < 6) response.end();
  });
  const running = await startSubscribed(t, { '/x': `subscribe = "http://127.0.0.1:${upstream.port}/"` });
  const viewer = await EventClient.open(running.port, '/x');
  assert.deepEqual(await viewer.first(6), ['1', '3', '5', '7', '9', '11']);
  assert.deepEqual(await viewer.first(2, 'notice'), [failing('it closed the connection too early'), BACK]);
  assert.deepEqual(
    upstream.asked.map((asked) => asked.header('last-event-id')),
    [undefined, '2', '4', '6', '8', '10'],
  );
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('an upstream that is away is told once, to those who come meanwhile too, and its return once', async (t) => {
  let answer: (response: ServerResponse) => void = (response) => response.writeHead(503).end();
  const upstream = await httpUpstream(t, (_request, response) => answer(response));
  const running = await startSubscribed(t, { '/x': `subscribe = "http://127.0.0.1:${upstream.port}/"` });
  const viewer = await EventClient.open(running.port, '/x');
  await until('it was tried often', () => upstream.asked.length > 8);
  const late = await EventClient.open(running.port, '/x');
  const why = failing('it answers with an error (503)');
  assert.deepEqual(await late.first(1, 'notice'), [why]);
  answer = (response) => {
    begin(response);
    response.write('data: here\n\n');
  };
  assert.deepEqual(await late.first(1), ['here']);
  assert.deepEqual(await viewer.first(1), ['here']);
  for (const each of [viewer, late]) assert.deepEqual(await each.first(2, 'notice'), [why, BACK]);
  const failed = running.log.filter(
    ({ message, level }) => message === 'a subscribed source fails' && level === 'warn',
  );
  assert.equal(failed.length, 1);
  assert.equal(viewer.all('notice').length, 2);
  viewer.close();
  late.close();
  assert.equal(await running.stop(), 0);
});

test('204 ends the stream for its viewers, and who comes later asks anew', async (t) => {
  const upstream = await httpUpstream(t, (request, response) => {
    if (request.headers['last-event-id'] === 'end') {
      response.writeHead(204).end();
      return;
    }
    begin(response);
    response.end('data: one\n\nid: end\ndata: last\n\n');
  });
  const running = await startSubscribed(t, { '/x': `subscribe = "http://127.0.0.1:${upstream.port}/"` });
  for (let round = 1; round <= 2; round++) {
    const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/x`);
    const { code, reason } = await socket.closed;
    assert.deepEqual([code, reason], [1000, 'the source has ended the stream (204)']);
    assert.deepEqual(socket.messages, ['one', 'last']);
    assert.equal(upstream.asked.length, 2 * round);
  }
  assert.equal(await running.stop(), 0);
});

test('one connection for each query, with the query of the address', async (t) => {
  const upstream = await httpUpstream(t, (request, response) => {
    begin(response);
    response.write(`data: ${request.url}\n\n`);
  });
  const keys = `subscribe = "http://127.0.0.1:${upstream.port}/e?a=1"\nshare = "query"\nmax_processes = 2`;
  const running = await startSubscribed(t, { '/x': `${keys}\nreplay = "last"` });
  const viewers = await Promise.all(
    ['room=1', 'room=2', 'room=2'].map((query) => EventClient.open(running.port, `/x?${query}`)),
  );
  const got = await Promise.all(viewers.map(async (viewer) => (await viewer.first(1))[0]));
  assert.deepEqual(got, ['/e?a=1&room=1', '/e?a=1&room=2', '/e?a=1&room=2']);
  assert.equal(upstream.asked.length, 2);
  assert.equal((await ask(running.port, '/x?room=3', { headers: { accept: 'text/event-stream' } })).status, 503);
  for (const viewer of viewers) viewer.close();
  assert.equal(await running.stop(), 0);
});

test('what viewers say is posted where "post" says, and refused without it', async (t) => {
  const upstream = await httpUpstream(t, (request, response) => {
    if (request.method === 'GET') {
      begin(response);
      return;
    }
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      response.writeHead(201, { 'content-type': 'text/x-answer' });
      response.end(`${request.url} ${request.headers['content-type']} ${request.headers['x-key']} ${body}`);
    });
  });
  const from = `subscribe = "http://127.0.0.1:${upstream.port}/events"\n`;
  const running = await startSubscribed(t, {
    '/post': `${from}post = "http://127.0.0.1:${upstream.port}/rpc?x=1"\nrequest_headers = { X-Key = "k" }`,
    '/none': from,
  });
  const posted = await ask(running.port, '/post', { method: 'POST', body: '{"on":1}' });
  assert.equal(posted.status, 201);
  assert.equal(posted.headers['content-type'], 'text/x-answer');
  assert.equal(posted.body, '/rpc?x=1 application/json k {"on":1}');
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/post`);
  socket.ws.send('hello');
  assert.deepEqual(await socket.first(1), ['/rpc?x=1 text/plain; charset=utf-8 k hello']);
  const refused = await ask(running.port, '/none', { method: 'POST', body: 'x' });
  assert.equal(refused.status, 405);
  assert.equal(refused.headers['allow'], 'GET, HEAD, OPTIONS');
  const silent = await TestSocket.open(`ws://127.0.0.1:${running.port}/none`);
  silent.ws.send('hello');
  assert.equal((await silent.closed).code, 1008);
  socket.ws.terminate();
  assert.equal(await running.stop(), 0);
});

test('fields of requests come from the configuration and from files, which are read for each connection', async (t) => {
  const upstream = await httpUpstream(t, (request, response) => {
    begin(response);
    response.end(`data: ${request.headers.authorization} ${request.headers['x-plain']} ${request.headers.accept}\n\n`);
  });
  const running = await startSubscribed(
    t,
    {
      '/x': `subscribe = "http://127.0.0.1:${upstream.port}/"
request_headers = { Authorization = { file = "token" }, X-Plain = "plain", Accept = "text/plain" }`,
    },
    { token: 'Bearer one\nsecond line' },
  );
  const viewer = await EventClient.open(running.port, '/x');
  assert.deepEqual(await viewer.first(1), ['Bearer one plain text/plain']);
  writeFileSync(join(running.folder, 'token'), 'Bearer two\n');
  await until('it is told the new one', () => viewer.all().includes('Bearer two plain text/plain'));
  viewer.close();
  assert.equal(await running.stop(), 0);
  assert.ok(!JSON.stringify(running.log).includes('Bearer'), 'no secret is in the log');
});

for (const algorithm of ['MD5', 'SHA-256', 'Basic'] as const)
  test(`a name and a password by ${algorithm}`, async (t) => {
    const hash = (text: string) =>
      createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
        .update(text)
        .digest('hex');
    let nonce = 1;
    const asked: string[] = [];
    const upstream = await httpUpstream(t, (request, response) => {
      const sent = request.headers.authorization ?? '';
      asked.push(sent);
      const of = (name: string) => new RegExp(`[ ,]${name}="?([^",]*)`).exec(sent)?.[1] ?? '';
      const [secret, target] = [hash('ann:camera:pass word'), hash(`GET:${request.url}`)];
      const right =
        algorithm === 'Basic'
          ? sent === `Basic ${Buffer.from('ann:pass word').toString('base64')}`
          : of('response') === hash(`${secret}:${of('nonce')}:${of('nc')}:${of('cnonce')}:${of('qop')}:${target}`);
      const isStale = algorithm !== 'Basic' && right && of('nonce') !== String(nonce);
      if (right && !isStale) {
        begin(response);
        response.end(`data: ${of('nonce')} ${of('nc')}\n\n`);
        if (of('nc') === '00000002') nonce++;
        return;
      }
      response.writeHead(401, {
        'www-authenticate':
          algorithm === 'Basic'
            ? 'Basic realm="camera"'
            : `Digest realm="camera", qop="auth", algorithm=${algorithm}, nonce="${nonce}", stale=${isStale}`,
      });
      response.end('no');
    });
    const from = `subscribe = "http://127.0.0.1:${upstream.port}/video?x=1"\n`;
    const running = await startSubscribed(
      t,
      { '/x': `${from}login = "login"`, '/wrong': `${from}login = "wrong"`, '/none': from },
      { login: 'ann:pass word\n', wrong: 'ann:guess' },
    );
    const viewer = await EventClient.open(running.port, '/x');
    const expected = algorithm === 'Basic' ? [' ', ' ', ' '] : ['1 00000001', '1 00000002', '2 00000001'];
    assert.deepEqual(await viewer.first(3), expected);
    // Asked for once, and then known.
    assert.deepEqual(
      asked.slice(0, 3).map((sent) => sent === ''),
      [true, false, false],
    );
    viewer.close();
    for (const [path, why] of [
      ['/wrong', 'it refuses the name or the password (401)'],
      ['/none', 'it asks for a password (401)'],
    ] as const) {
      const other = await EventClient.open(running.port, path);
      assert.deepEqual(await other.first(1, 'notice'), [failing(why)]);
      other.close();
    }
    assert.equal(await running.stop(), 0);
    assert.ok(!JSON.stringify(running.log).includes('pass word'), 'no secret is in the log');
  });

test('start = "boot" connects before anybody watches, and the counts tell of it', async (t) => {
  let open: ServerResponse | undefined;
  const upstream = await httpUpstream(t, (_request, response) => {
    begin(response);
    open = response;
    response.write('data: early\n\n');
  });
  const running = await startSubscribed(
    t,
    { '/x': `subscribe = "http://127.0.0.1:${upstream.port}/"\nstart = "boot"\nhistory = 5` },
    {},
    '[admin]\nlisten = "127.0.0.1:0"\n',
  );
  await until('it is connected', () => open !== undefined);
  const viewer = await EventClient.open(running.port, '/x');
  assert.deepEqual(await viewer.first(1), ['early']);
  const metrics = async () => (await ask(running.ports.at(-1) ?? 0, '/metrics')).body;
  assert.match(await metrics(), /^runnel_subscriptions\{route="\/x"\} 1$/m);
  assert.match(await metrics(), /^runnel_connects_total\{route="\/x",outcome="connected"\} 1$/m);
  open?.destroy();
  await viewer.first(1, 'notice');
  assert.match(await metrics(), /^runnel_subscriptions_ended_total\{route="\/x",reason="closed"\} 1$/m);
  viewer.close();
  assert.equal(await running.stop(), 0);
});
