/** Polled streams through the real gateway: what viewers see of good and of bad sources. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { applyMergePatch, type Json } from '../../../../src/stream/sources/poll/merge-patch.ts';
import { ask, TestSocket } from '../../../support/client.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { type Running, startGateway } from '../../../support/gateway.ts';
import { oldServer } from '../../../support/old-server.ts';
import { memoryOf, programsOf, until } from '../../../support/processes.ts';

const HEAD = `
[[listen]]
address = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[log]
level = "debug"
`;
/** Short waits, so that a test is not long. */
const SOON = 'interval = "100ms"\nrestart_delay = "10ms"\nrestart_delay_max = "100ms"\n';

const failing = (why: string): string => `the source of this stream fails: ${why}; the gateway keeps trying`;

/** Replaces a file in one step: a program that reads it sees the old or the new one. */
function put(running: Running, name: string, content: string | Buffer): void {
  const path = join(running.folder, name);
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

const events = (running: Running, path: string, headers?: { [name: string]: string }): Promise<EventClient> =>
  EventClient.open(running.port, path, headers);

test('the body when it has changed, to whoever comes the last one', async (t) => {
  const config = `${HEAD}[cgi."/cgi-bin/"]\nroot = "cgi"\n[stream."/now"]\npoll = "/cgi-bin/now.cgi?a=1"\n${SOON}`;
  const script =
    '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\ncat ../now\nprintf " %s" "$QUERY_STRING" "$REMOTE_ADDR-"\n';
  const running = await startGateway(t, { config, files: { 'cgi/now.cgi': script, now: 'one' } });
  const first = await events(running, '/now?b=2');
  assert.deepEqual(await first.first(1), ['one a=1 -']);
  const late = await TestSocket.open(`ws://127.0.0.1:${running.port}/now`);
  assert.deepEqual(await late.first(1), ['one a=1 -']);
  const polled = await ask(running.port, '/now?transport=poll');
  const { cursor, messages } = JSON.parse(polled.body) as { cursor: string; messages: { data: string }[] };
  assert.deepEqual(
    messages.map(({ data }) => data),
    ['one a=1 -'],
  );
  put(running, 'now', 'two');
  assert.deepEqual(await first.first(2), ['one a=1 -', 'two a=1 -']);
  assert.deepEqual(await late.first(2), ['one a=1 -', 'two a=1 -']);
  const news = JSON.parse((await ask(running.port, `/now?transport=poll&cursor=${cursor}`)).body) as typeof messages;
  assert.match(JSON.stringify(news), /"data":"two a=1 -"/);
  // One that comes back gets what it has missed, and nothing twice.
  const back = await events(running, '/now', { 'last-event-id': first.events[1]?.id ?? '' });
  assert.deepEqual(await back.first(1), ['two a=1 -']);
  await until('both outcomes are counted', async () => {
    const metrics = await fetch(`http://127.0.0.1:${running.ports.at(-1)}/metrics`);
    const polls = (await metrics.text())
      .split('\n')
      .filter((line) => line.startsWith('runnel_polls_total{route="/now"'));
    return polls.some((line) => line.endsWith('outcome="news"} 2')) && polls.some((line) => line.includes('"same"'));
  });
  for (const client of [first, back]) client.close();
  late.ws.terminate();
  assert.equal(await running.stop(), 0);
});

test('lines, and merge patches that make the document', async (t) => {
  const config = `${HEAD}[static."/"]\nroot = "www"
[stream."/log"]\npoll = "/log.txt"\nmessage = "lines"\nhistory = 2\n${SOON}
[stream."/state"]\npoll = "/state.json"\nmessage = "json-diff"\nhistory = 1\n${SOON}`;
  const running = await startGateway(t, {
    config,
    files: { 'www/log.txt': 'a\nb\n', 'www/state.json': '{"a":1,"gone":null,"list":[1,null]}' },
  });
  const log = await events(running, '/log');
  assert.deepEqual(await log.first(2), ['a', 'b']);
  put(running, 'www/log.txt', 'b\nc\nd\n');
  assert.deepEqual(await log.first(4), ['a', 'b', 'c', 'd']);
  assert.deepEqual(await (await events(running, '/log')).first(2), ['c', 'd']);

  const state = await events(running, '/state');
  assert.deepEqual(await state.first(1), ['{"a":1,"list":[1,null]}']);
  put(running, 'www/state.json', '{"a":1,"b":{"c":2}}');
  await state.first(2);
  put(running, 'www/state.json', '{"a":1,"b":{"c":3}}');
  const all = await state.first(3);
  assert.deepEqual(all.slice(1), ['{"list":null,"b":{"c":2}}', '{"b":{"c":3}}']);
  const made = all
    .map((text) => JSON.parse(text) as Json)
    .reduce<Json>((document, patch) => applyMergePatch(document, patch), {});
  assert.deepEqual(made, { a: 1, b: { c: 3 } });
  // Who comes late, or has missed a patch, gets the whole.
  const whole = ['{"a":1,"b":{"c":3}}'];
  assert.deepEqual(await (await events(running, '/state')).first(1), whole);
  const back = await events(running, '/state', {
    'last-event-id': state.events.find(({ id }) => id !== undefined)?.id ?? '',
  });
  assert.deepEqual(await back.first(1), whole);
  assert.deepEqual(await back.first(1, 'missed'), ['']);
  // Who has missed nothing goes on.
  const on = await events(running, '/state', { 'last-event-id': state.events.at(-1)?.id ?? '' });
  put(running, 'www/state.json', '[]');
  assert.deepEqual(await on.first(1), ['[]']);
  assert.equal(await running.stop(), 0);
});

test('an old server: conditional requests over one connection, a cursor, HTML, errors, recovery', async (t) => {
  let state = { body: '{"n":1}', etag: '"1"', type: 'application/json', next: 'a/b', status: 200 };
  const old = await oldServer(t, (incoming, response) => {
    response.setHeader('etag', state.etag).setHeader('x-next', state.next).setHeader('content-type', state.type);
    if (state.status === 200 && incoming.headers['if-none-match'] === state.etag) response.writeHead(304).end();
    else response.writeHead(state.status).end(state.body);
  });
  const config = `${HEAD}[stream."/old"]\npoll = "http://127.0.0.1:${old.port}/status?x=1"\n${SOON}cursor = { header = "X-Next", query = "after" }\n`;
  const running = await startGateway(t, { config });
  const viewer = await events(running, '/old', { cookie: 'secret=1', authorization: 'Basic c2VjcmV0' });
  assert.deepEqual(await viewer.first(1), ['{"n":1}']);
  await until('it is asked with the cursor and the validator of that query', () =>
    old.requests.some(({ url, headers }) => url === '/status?x=1&after=a%2Fb' && headers['if-none-match'] === '"1"'),
  );
  assert.equal(old.requests[0]?.url, '/status?x=1');
  // Backwards, and the same body under another validator.
  state = { ...state, next: '0', etag: '"2"' };
  await until('the cursor is taken as it is', () => old.requests.at(-1)?.url === '/status?x=1&after=0');
  assert.equal(old.connections.length, 1);
  assert.ok(old.requests.every(({ headers }) => headers.cookie === undefined && headers.authorization === undefined));
  assert.ok(old.requests.every(({ headers }) => headers['x-forwarded-for'] === undefined));

  state = { ...state, body: '<html>login</html>', etag: '"3"', type: 'text/html' };
  assert.deepEqual(await viewer.first(1, 'notice'), [failing('it answers with an HTML page instead of JSON')]);
  state = { ...state, body: '{"n":2}', etag: '"4"', type: 'application/json' };
  assert.deepEqual(await viewer.first(2), ['{"n":1}', '{"n":2}']);
  assert.equal((await viewer.first(2, 'notice'))[1], 'the source answers again');

  // Whatever goes wrong next, it is told once.
  state = { ...state, status: 503 };
  await viewer.first(3, 'notice');
  await old.stop();
  const errors = await running.logged((line) => line['why'] === 'nothing listens there');
  assert.equal(errors.level, 'debug');
  const late = await events(running, '/old');
  assert.deepEqual(await late.first(1, 'notice'), [failing('it answers with an error (503)')]);
  state = { ...state, status: 200, body: '{"n":3}', etag: '"5"' };
  await old.start();
  assert.deepEqual(await viewer.first(3), ['{"n":1}', '{"n":2}', '{"n":3}']);
  assert.deepEqual(viewer.all('notice').slice(2), [
    failing('it answers with an error (503)'),
    'the source answers again',
  ]);
  assert.deepEqual((await late.first(2, 'notice'))[1], 'the source answers again');
  assert.equal(await running.stop(), 0);
});

test('a first answer that is none: the viewer is let in and told', async (t) => {
  const old = await oldServer(t, (_incoming, response) => response.end('hello'));
  await old.stop();
  const config = `${HEAD}[stream."/old"]\npoll = "http://127.0.0.1:${old.port}"\n${SOON}`;
  const running = await startGateway(t, { config });
  const viewer = await events(running, '/old');
  assert.deepEqual(await viewer.first(1, 'notice'), [failing('nothing listens there')]);
  await old.start();
  assert.deepEqual(await viewer.first(1), ['hello']);
  assert.equal(old.requests[0]?.url, '/');
  assert.equal(await running.stop(), 0);
});

test('answers that are too large, compressed, cut, late or no HTTP at all', async (t) => {
  const old = await oldServer(t, (incoming, response) => {
    switch (incoming.url) {
      case '/announced':
        response.writeHead(200, { 'content-length': 50_000_000 });
        response.write('x');
        return;
      case '/endless': {
        const more = (): void => {
          while (response.write(Buffer.alloc(65_536, 'x'))) if (response.destroyed) return;
        };
        response.on('drain', more);
        more();
        return;
      }
      case '/gzip':
        response.writeHead(200, { 'content-encoding': 'gzip' }).end('x');
        return;
      case '/cut':
        response.writeHead(200, { 'content-length': 10 }).write('x', () => response.destroy());
        return;
      case '/noise':
        incoming.socket.end('hello\r\n\r\n');
        return;
      case '/redirect':
        response.writeHead(302, { location: '/elsewhere' }).end();
    }
    // Anything else is never answered.
  });
  const cases = {
    announced: 'its response is too large: 50000000 bytes, max_message is 65536',
    endless: 'its response is too large: more than max_message, 65536 bytes',
    gzip: 'its response is compressed, although the request did not ask for that',
    cut: 'it closed the connection too early',
    noise: 'what it answers is not HTTP',
    redirect: 'it answers with a redirect (302), which is not followed',
    never: 'it did not answer within 1 s',
  };
  const streams = Object.keys(cases).map(
    (name) => `[stream."/${name}"]\npoll = "http://127.0.0.1:${old.port}/${name}"\npoll_timeout = "1s"\n${SOON}`,
  );
  const running = await startGateway(t, { config: `${HEAD}${streams.join('')}` });
  const before = memoryOf(running.pid, 'RssAnon');
  for (const [name, why] of Object.entries(cases)) {
    const viewer = await events(running, `/${name}`);
    assert.deepEqual(await viewer.first(1, 'notice'), [failing(why)]);
    viewer.close();
  }
  assert.ok(memoryOf(running.pid, 'RssAnon') - before < 60_000);
  assert.ok(old.requests.every(({ url }) => url !== '/elsewhere'));
  assert.equal(await running.stop(), 0);
});

test('CGI programs that fail, take too long, print 50 MB or redirect', async (t) => {
  const files = {
    'cgi/big.cgi': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\nexec head -c 50000000 /dev/zero\n',
    'cgi/dies.cgi': '#!/bin/sh\necho "out of paper" >&2\nexit 3\n',
    'cgi/breaks.cgi': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nhalf"\nkill -SEGV $$\n',
    'cgi/hangs.cgi': '#!/bin/sh\nexec sleep 1000\n',
    'cgi/busy.cgi': '#!/bin/sh\nprintf "Status: 503\\nRetry-After: 0\\nContent-Type: text/plain\\n\\nbusy"\n',
    'cgi/local.cgi': '#!/bin/sh\nprintf "Location: /cgi-bin/there.cgi/x?y=1\\n\\n"\n',
    'cgi/there.cgi':
      '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n%s" "$PATH_INFO $QUERY_STRING $REQUEST_METHOD"\n',
    'cgi/round.cgi': '#!/bin/sh\nprintf "Location: /cgi-bin/round.cgi\\n\\n"\n',
    'cgi/detour.cgi': '#!/bin/sh\nprintf "Location: /private/there.cgi\\n\\n"\n',
    'cgi/own.cgi': '#!/bin/sh\nprintf "Location: /private/there.cgi/own\\n\\n"\n',
    tokens: `lamp:${'0'.repeat(64)}\n`,
    'cgi/slow.cgi': '#!/bin/sh\nsleep 1\nprintf "Content-Type: text/plain\\n\\nslow"\n',
  };
  const cases: { readonly [name: string]: RegExp } = {
    big: /too large: more than max_message, 65536 bytes/,
    dies: /it failed \(502\)/,
    breaks: /its response was cut off/,
    hangs: /it did not answer within 1 s/,
    busy: /it answers with an error \(503\)/,
    round: /it redirects in a loop/,
    detour: /it redirects to a route that needs a password or token/,
    gone: /it failed \(404\)/,
  };
  const stream = (name: string, timeout: string): string =>
    `[stream."/${name}"]\npoll = "/cgi-bin/${name}.cgi"\npoll_timeout = "${timeout}"\nidle_stop = "0ms"\n${SOON}`;
  const streams = [
    ...Object.keys(cases).map((name) => stream(name, '1s')),
    stream('local', '30s'),
    stream('slow', '30s'),
    stream('own', '30s').replace('/cgi-bin/', '/private/'),
  ];
  const cgi =
    '[cgi."/cgi-bin/"]\nroot = "cgi"\ntimeout = "200ms"\nkill_after = "100ms"\ninterrupt_after = "50ms"\nterminate_after = "50ms"\n';
  const guarded = '[cgi."/private/"]\nroot = "cgi"\nauth = { tokens = "tokens" }\n';
  const running = await startGateway(t, { config: `${HEAD}${cgi}${guarded}${streams.join('')}`, files });
  for (const [name, why] of Object.entries(cases)) {
    const viewer = await events(running, `/${name}`);
    assert.match((await viewer.first(1, 'notice'))[0] ?? '', why, name);
    viewer.close();
  }
  const words = await running.logged((line) => line['route'] === '/dies' && line['detail'] !== undefined);
  assert.match(String(words['detail']), /exit 3; last lines of stderr: out of paper/);
  const local = await events(running, '/local');
  assert.deepEqual(await local.first(1), ['/x y=1 GET']);
  // poll_timeout counts and not the timeout of the route, which is for people who wait.
  const slow = await events(running, '/slow');
  assert.deepEqual(await slow.first(1), ['slow']);
  // Whose stream it is has chosen that route.
  const own = await events(running, '/own');
  assert.deepEqual(await own.first(1), ['/own  GET']);
  for (const client of [local, slow, own]) client.close();
  await until('no program is left', () =>
    programsOf(running.pid).every(({ command }) => !/\.cgi|^sleep|^head/.test(command)),
  );
  assert.equal(await running.stop(), 0);
});

test('commands: their output is the answer, their status an error', async (t) => {
  const script =
    '#!/bin/sh\n[ -e ../fail ] && { echo "no sensor" >&2; exit 4; }\necho "$QUERY_STRING $REQUEST_METHOD $COLOUR"\n';
  const endless = ['sh', '-c', 'yes | head -c 50000000'];
  const config = `${HEAD}[stream."/value"]\npoll = ["./value.sh"]\ndirectory = "."\nshare = "query"\nenv = { COLOUR = "red" }\n${SOON}
[stream."/big"]\npoll = ${JSON.stringify(endless)}\n${SOON}
[stream."/hangs"]\npoll = ["sleep", "1000"]\nidle_stop = "0ms"\ninterrupt_after = "50ms"\n${SOON}`;
  const running = await startGateway(t, { config, files: { 'value.sh': script.replace('../fail', 'fail') } });
  const viewer = await events(running, '/value?unit=c&after=');
  assert.deepEqual(await viewer.first(1), ['unit=c GET red\n']);
  put(running, 'fail', '');
  assert.deepEqual(await viewer.first(1, 'notice'), [failing('it failed (exit 4)')]);
  const line = await running.logged((entry) => entry['why'] === 'it failed (exit 4)' && entry.level === 'warn');
  assert.equal(line['detail'], 'last lines of stderr: no sensor');
  const big = await events(running, '/big');
  assert.deepEqual(await big.first(1, 'notice'), [
    failing('its response is too large: more than max_message, 65536 bytes'),
  ]);
  const sleeping = (): boolean => programsOf(running.pid).some(({ command }) => command === 'sleep 1000');
  const hanging = await events(running, '/hangs');
  await until('it runs', sleeping);
  hanging.close();
  await until('it is ended with its last viewer', () => !sleeping());
  assert.equal(await running.stop(), 0);
});

test('start = "boot": asked before anybody comes', async (t) => {
  const script =
    '#!/bin/sh\nn=0; [ -e n ] && read -r n < n; n=$((n + 1)); echo $n > n\nprintf "Content-Type: text/plain\\n\\n$n"\n';
  const config = `${HEAD}[cgi."/cgi-bin/"]\nroot = "cgi"\n[stream."/n"]\npoll = "/cgi-bin/n.cgi"\nstart = "boot"\n${SOON}`;
  const running = await startGateway(t, { config, files: { 'cgi/n.cgi': script } });
  await until('it was asked three times', () => {
    try {
      return Number(readFileSync(join(running.folder, 'cgi/n'), 'latin1')) >= 3;
    } catch {
      return false;
    }
  });
  const viewer = await events(running, '/n');
  assert.ok(Number((await viewer.first(1))[0]) >= 2);
  assert.equal(await running.stop(), 0);
});

test('credentials: a run for each, and what is its own for each viewer', async (t) => {
  const script = `#!/bin/sh
printf 'Content-Type: text/plain\\n\\n%s' "\${HTTP_COOKIE-none} \${HTTP_AUTHORIZATION-none} $HTTP_X_OTHER"
`;
  const config = (auth: boolean, share: string, name: string): string =>
    `[cgi."/${name}/"]\nroot = "cgi"\npass_authorization = ${auth}\n[stream."/live/${name}"]\npoll = "/${name}/who.cgi"\nshare = "${share}"\n${SOON}`;
  const old = await oldServer(t, (incoming, response) =>
    response.end(`${incoming.headers.cookie} ${incoming.headers.authorization}`),
  );
  const running = await startGateway(t, {
    config: `${HEAD}${config(true, 'credentials', 'mine')}${config(false, 'credentials', 'part')}${config(true, 'all', 'all')}
[stream."/live/command"]\npoll = ["sh", "-c", 'echo "$HTTP_COOKIE $HTTP_AUTHORIZATION"']\nshare = "credentials"\n${SOON}
[stream."/live/old"]\npoll = "http://127.0.0.1:${old.port}/"\nshare = "credentials"\n${SOON}`,
    files: { 'cgi/who.cgi': script },
  });
  const [ann, bob] = ['ann', 'bob'].map((name) => ({
    cookie: `user=${name}`,
    authorization: `Bearer ${name}`,
    'x-other': 'never',
  }));
  const sees = async (path: string, headers: { [name: string]: string } | undefined): Promise<string | undefined> => {
    const viewer = await events(running, path, headers);
    const [message] = await viewer.first(1);
    viewer.close();
    return message;
  };
  assert.equal(await sees('/live/mine', ann), 'user=ann Bearer ann ');
  assert.equal(await sees('/live/mine', bob), 'user=bob Bearer bob ');
  assert.equal(await sees('/live/mine', undefined), 'none none ');
  assert.equal(await sees('/live/part', ann), 'user=ann none ');
  assert.equal(await sees('/live/all', ann), 'none none ');
  assert.equal(await sees('/live/command', bob), 'user=bob Bearer bob\n');
  assert.equal(await sees('/live/old', bob), 'user=bob Bearer bob');
  // A browser, or a proxy, may send cookies in several fields: the second one says who this is.
  const inParts = async (path: string, ...cookies: readonly string[]): Promise<string> => {
    const fields = cookies.map((cookie) => `Cookie: ${cookie}\r\n`).join('');
    const client = connect({ host: '127.0.0.1', port: running.port });
    let seen = '';
    client.on('data', (bytes: Buffer) => {
      seen += bytes.toString();
    });
    client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n${fields}\r\n`);
    await until('a message', () => /^data: .*user=/m.test(seen));
    client.destroy();
    return seen;
  };
  for (const path of ['/live/mine', '/live/old', '/live/command'])
    for (const name of ['ann', 'bob'])
      assert.match(await inParts(path, 'theme=dark', `user=${name}`), new RegExp(`theme=dark; user=${name}`), path);
  assert.equal(await running.stop(), 0);
});

for (const engine of ['uws', 'node'] as const)
  test(`a message is posted, and its answer is for its sender alone, over ${engine}`, async (t) => {
    const script = `#!/bin/sh
if [ "$REQUEST_METHOD" = GET ]; then printf 'Content-Type: text/plain\\n\\nstate'; exit; fi
body=$(cat)
case $body in
  die) exit 1 ;;
  no) printf 'Status: 409 Conflict\\nContent-Type: text/plain\\n\\nno such thing' ;;
  quiet) printf 'Status: 204\\n\\n' ;;
  wait) exec sleep 1000 ;;
  *) printf 'Content-Type: text/plain\\n\\n%s' "$CONTENT_TYPE $CONTENT_LENGTH $QUERY_STRING: $body" ;;
esac
`;
    const config = `${HEAD.replace('[admin]', `engine = "${engine}"\n[admin]`)}[cgi."/cgi-bin/"]\nroot = "cgi"\nkill_after = "50ms"
[static."/files/"]\nroot = "cgi"
[stream."/box"]\npoll = "/cgi-bin/box.cgi?x=1"\npoll_timeout = "2s"\n${SOON}
[stream."/form"]\npoll = "/cgi-bin/box.cgi"\nmessage_type = "application/x-www-form-urlencoded"\n${SOON}
[stream."/file"]\npoll = "/files/box.cgi"\n${SOON}`;
    const running = await startGateway(t, { config, files: { 'cgi/box.cgi': script } });
    const url = (path: string): string => `ws://127.0.0.1:${running.port}${path}`;
    const [one, other] = await Promise.all([TestSocket.open(url('/box')), TestSocket.open(url('/box'))]);
    await Promise.all([one.first(1), other.first(1)]);
    one.ws.send('hello');
    one.ws.send('{"a":1}');
    one.ws.send('no');
    one.ws.send('quiet');
    one.ws.send('die');
    one.ws.send('{"a":');
    assert.deepEqual((await one.first(5)).slice(1), [
      'text/plain; charset=utf-8 5 x=1: hello',
      'application/json 7 x=1: {"a":1}',
      'no such thing',
      'text/plain; charset=utf-8 5 x=1: {"a":',
    ]);
    await running.logged((line) => /a message to the source failed: it failed \(502\)/.test(line.message));
    const post = (path: string, body: string, headers?: { [name: string]: string }): ReturnType<typeof ask> =>
      ask(running.port, path, { method: 'POST', body, ...(headers === undefined ? {} : { headers }) });
    const answered = await post('/box', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' });
    assert.equal(answered.body, 'application/x-www-form-urlencoded 3 x=1: a=1');
    assert.equal(answered.headers['content-type'], 'text/plain');
    assert.equal((await post('/box', 'no')).status, 409);
    assert.equal((await post('/box', 'die')).status, 502);
    assert.equal((await post('/box', 'wait')).status, 504);
    assert.equal((await post('/form', 'a=1')).body, 'application/x-www-form-urlencoded 3 : a=1');
    assert.equal((await post('/file', 'a=1')).status, 405);
    // A thousand at once: so many wait, and the rest is told that there is no room.
    const greedy = await TestSocket.open(url('/box'));
    greedy.ws.send('wait');
    for (let at = 0; at < 1000; at++) greedy.ws.send('hello');
    assert.deepEqual(await greedy.closed, { code: 1013, reason: 'you send faster than the source answers' });
    assert.deepEqual(other.messages, ['state']);
    assert.equal(await running.stop(), 0);
  });

test('a server: the run that waits is dropped with the last viewer, messages have connections of their own', async (t) => {
  const waiting = new Set<object>();
  const old = await oldServer(t, (incoming, response) => {
    if (incoming.method === 'POST') {
      incoming.pipe(response);
      return;
    }
    waiting.add(response);
    response.on('close', () => waiting.delete(response));
  });
  const config = `${HEAD}[stream."/old"]\npoll = "http://127.0.0.1:${old.port}/wait"\nidle_stop = "0ms"\n${SOON}`;
  const running = await startGateway(t, { config });
  const viewer = await TestSocket.open(`ws://127.0.0.1:${running.port}/old`);
  await until('it waits', () => waiting.size === 1);
  viewer.ws.send('ping');
  assert.deepEqual(await viewer.first(1), ['ping']);
  assert.equal(waiting.size, 1);
  viewer.ws.terminate();
  await until('it is dropped', () => waiting.size === 0);
  assert.equal(old.requests.filter(({ method }) => method === 'GET').length, 1);
  assert.equal(await running.stop(), 0);
});

test('many come and go: channels and programs go with them', async (t: TestContext) => {
  const config = `${HEAD}[stream."/q"]\npoll = ["sh", "-c", "echo $QUERY_STRING"]\nshare = "query"\nidle_stop = "0ms"\nmax_processes = 8\n${SOON}`;
  const running = await startGateway(t, { config });
  /** As soon as there is room. */
  const arrive = async (path: string): Promise<EventClient> => {
    let client: EventClient | undefined;
    await until('there is room', async () => {
      client = await events(running, path).catch(() => undefined);
      return client !== undefined;
    });
    assert.ok(client !== undefined);
    return client;
  };
  for (let round = 0; round < 5; round++) {
    const viewers = await Promise.all(Array.from({ length: 8 }, (_, at) => arrive(`/q?${round}-${at}`)));
    const got = await Promise.all(viewers.map((viewer) => viewer.first(1)));
    assert.deepEqual(
      got,
      viewers.map((_, at) => [`${round}-${at}\n`]),
    );
    assert.equal((await ask(running.port, '/q?one-too-many')).status, 503);
    for (const viewer of viewers) viewer.close();
  }
  await until('nothing runs', () => programsOf(running.pid).every(({ command }) => !command.includes('QUERY_STRING')));
  assert.equal(await running.stop(), 0);
});
