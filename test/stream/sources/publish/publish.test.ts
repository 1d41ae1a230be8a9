/** `publish`: what one client sends, all get; who may, what is taken once, and what is refused. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { ask, type Refusal, TestSocket } from '../../../support/client.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { startGateway } from '../../../support/gateway.ts';
import { picture } from '../../../support/jpeg.ts';

const TOKEN = 'writer-secret';
const FILES = { tokens: `writer:${createHash('sha256').update(TOKEN).digest('hex')}\n` };
const BEARER = { authorization: `Bearer ${TOKEN}` };

const idOf = ({ body }: Refusal): unknown => Reflect.get(JSON.parse(body) as object, 'id');
const post = (body: string | Buffer, headers: { readonly [name: string]: string } = {}) => ({
  method: 'POST',
  body,
  headers: { 'content-length': String(Buffer.byteLength(body)), ...headers },
});

for (const engine of ['uws', 'node'])
  describe(`publish (${engine})`, () => {
    const listen = `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`;

    test('a POST and a WebSocket reach everybody, with ids in order', async (t) => {
      const running = await startGateway(t, { config: `${listen}[stream."/x"]\npublish = true\nhistory = 10\n` });
      const events = await EventClient.open(running.port, '/x');
      const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/x`);
      const first = await ask(running.port, '/x', post('tea is ready'));
      assert.equal(first.status, 202);
      assert.equal(first.headers['content-type'], 'application/json');
      assert.match(String(idOf(first)), /^[0-9a-z]+-1$/);
      socket.ws.send('and cake');
      await events.first(2);
      assert.match(String(idOf(await ask(running.port, '/x', post('')))), /-3$/);
      assert.deepEqual(await events.first(3), ['tea is ready', 'and cake', '']);
      assert.deepEqual(await socket.first(3), ['tea is ready', 'and cake', '']);
      const again = await EventClient.open(running.port, '/x', { 'last-event-id': String(idOf(first)) });
      assert.deepEqual(await again.first(2), ['and cake', '']);
      events.close();
      again.close();
    });

    test('of pictures: what is one is shown, whoever sends it, and what is none is refused or counted', async (t) => {
      const running = await startGateway(t, {
        config: `${listen}[admin]\nlisten = "127.0.0.1:0"\n[stream."/cam"]\npublish = true\nframing = "jpeg"\n`,
      });
      const [red, green, blue] = [picture([250, 0, 0]), picture([0, 250, 0]), picture([0, 0, 250])];
      const viewer = await TestSocket.open(`ws://127.0.0.1:${running.port}/cam`);
      const noise = Buffer.from('noise');
      for (const body of ['no picture', red.subarray(0, -2), Buffer.concat([red, green])]) {
        const answer = await ask(running.port, '/cam', post(body, { 'content-type': 'image/jpeg' }));
        assert.deepEqual([answer.status, /JPEG/.test(answer.body)], [415, true]);
      }
      assert.equal((await ask(running.port, '/cam', post(Buffer.concat([red, noise])))).status, 202);
      await viewer.first(1);
      viewer.ws.send('no picture');
      viewer.ws.send(green);
      await viewer.first(2);
      const body = Buffer.concat([noise, blue, noise, red]);
      const put = await ask(running.port, '/cam', { ...post(body), method: 'PUT' });
      assert.deepEqual([put.status, Reflect.get(JSON.parse(put.body) as object, 'messages')], [200, 2]);
      assert.deepEqual(await viewer.first(4), [red, green, blue, red].map(String));
      assert(!viewer.binary.includes(false));
      const metrics = (await ask(running.ports[1] ?? 0, '/metrics')).body;
      assert.match(metrics, /runnel_dropped_total\{route="\/cam",reason="not_a_picture"\} 6\n/);
      viewer.ws.close();
    });

    test('text and binary as the Content-Type says; what curl says means nothing', async (t) => {
      const running = await startGateway(t, { config: `${listen}[stream."/x"]\npublish = true\n` });
      const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/x`);
      const curl = 'application/x-www-form-urlencoded';
      const sent: readonly (readonly [string | Buffer, string | undefined, boolean])[] = [
        ['a', undefined, false],
        ['a=b', curl, false],
        [Buffer.from([0xff]), curl, true],
        ['{}', 'application/json', false],
        ['<a/>', 'image/svg+xml', true],
        ['<a/>', 'application/atom+xml', false],
        [Buffer.from([0xff]), 'text/plain; charset=utf-8', false],
        ['a', 'application/octet-stream', true],
      ];
      for (const [body, type] of sent)
        assert.equal(
          (await ask(running.port, '/x', post(body, type === undefined ? {} : { 'content-type': type }))).status,
          202,
        );
      await socket.first(sent.length);
      assert.deepEqual(
        socket.binary,
        sent.map(([, , binary]) => binary),
      );
      assert.equal(socket.messages[6], '\ufffd');
    });

    test('a body that would have to be decoded is refused', async (t) => {
      const running = await startGateway(t, { config: `${listen}[stream."/x"]\npublish = true\nhistory = 9\n` });
      for (const method of ['POST', 'PUT'])
        for (const [coding, status] of [
          ['gzip', 415],
          ['gzip, identity', 415],
          ['Identity', method === 'POST' ? 202 : 200],
        ] as const) {
          const reply = await ask(running.port, '/x', { ...post('one\n', { 'content-encoding': coding }), method });
          assert.equal(reply.status, status, `${method} ${coding}: ${reply.body}`);
          if (status === 415) assert.equal(reply.headers['accept-encoding'], 'identity');
        }
      const { body } = await ask(running.port, '/x?transport=history');
      assert.equal(body.split('\n').length - 1, 2);
    });

    test('an id is taken once, also by two at one time, and no other than an id is one', async (t) => {
      const running = await startGateway(t, {
        config: `${listen}[stream."/x"]\npublish = { remember_ids = 3 }\nhistory = 100\n`,
      });
      const { port } = running;
      const [one, two] = await Promise.all([1, 2].map(() => ask(port, '/x?id=a', post('once'))));
      assert(one !== undefined && two !== undefined);
      assert.deepEqual([one.status, two.status, one.body], [202, 202, two.body]);
      assert.equal((await ask(port, '/x?id=a', post('something else'))).body, one.body);
      for (const id of ['b', 'c', 'd']) await ask(port, `/x?id=${id}`, post(id));
      // Three are remembered.
      assert.notEqual((await ask(port, '/x?id=a', post('again'))).body, one.body);
      for (const id of ['', '%20', 'caf%C3%A9', 'x'.repeat(129), 'a%0Ab'])
        assert.equal((await ask(port, `/x?id=${id}`, post('x'))).status, 400, id);
      for (const [query, why] of [
        ['id=%zz', 'hexadecimal'],
        ['id=a%', 'hexadecimal'],
        ['id=a&id=b', 'several'],
        ['id=a&i%64=a', 'several'],
        ['id=%20', 'printable ASCII'],
        ['body=live&body=whole', '"live" or "whole"'],
      ] as const) {
        const { status, body } = await ask(port, `/x?${query}`, post('x'));
        assert.equal(status, 400, query);
        assert(JSON.parse(body).error.includes(why), body);
      }
      assert.equal((await ask(port, '/x?id=a', { ...post('x'), method: 'PUT' })).status, 400);
      const events = await EventClient.open(port, '/x');
      assert.deepEqual(await events.first(5), ['once', 'b', 'c', 'd', 'again']);
      events.close();
    });

    test('what is too large is refused before it is sent, and other methods always', async (t) => {
      const running = await startGateway(t, {
        config: `${listen}[stream."/x"]\npublish = true\nmax_client_message = "10B"\nhistory = 3\n`,
      });
      assert.equal((await ask(running.port, '/x', post('0123456789'))).status, 202);
      assert.equal((await ask(running.port, '/x', post('0123456789a'))).status, 413);
      const chunked = { method: 'POST', body: '0123456789a', headers: { 'transfer-encoding': 'chunked' } };
      assert.equal((await ask(running.port, '/x', chunked)).status, 413);
      const other = await ask(running.port, '/x', { method: 'DELETE' });
      assert.deepEqual([other.status, other.headers['allow']], [405, 'GET, HEAD, POST, PUT, OPTIONS']);
      assert.equal((await ask(running.port, '/x?body=half', post('x'))).status, 400);
    });

    test('who may read and who may write are asked for proofs of their own', async (t) => {
      const running = await startGateway(t, {
        config: `${listen}[stream."/x"]\npublish = { auth = { tokens = "tokens", query_token = true } }\n`,
        files: FILES,
      });
      const { port } = running;
      const reader = await TestSocket.open(`ws://127.0.0.1:${port}/x`);
      const silent = await TestSocket.open(`ws://127.0.0.1:${port}/x`);
      const writer = await TestSocket.open(`ws://127.0.0.1:${port}/x?access_token=${TOKEN}`);
      const refused = await ask(port, '/x', post('no'));
      assert.deepEqual([refused.status, refused.headers['www-authenticate']], [401, 'Bearer realm="runnel"']);
      assert.equal((await ask(port, '/x', { ...post('no'), method: 'PUT' })).status, 401);
      assert.equal((await ask(port, '/x', post('yes', BEARER))).status, 202);
      writer.ws.send('too');
      assert.deepEqual(await silent.first(2), ['yes', 'too']);
      reader.ws.send('no');
      assert.deepEqual(await reader.closed, { code: 1008, reason: 'you may read this stream, but not write to it' });
      assert.deepEqual(
        [reader.messages, silent.messages],
        [
          ['yes', 'too'],
          ['yes', 'too'],
        ],
      );
    });

    test('whoever may read with a token is not locked out because it is none for writing', async (t) => {
      const reading = createHash('sha256').update('reader-secret').digest('hex');
      const running = await startGateway(t, {
        config: `${listen}[connections]\nfailed_logins = 2\n[stream."/x"]\nauth = { tokens = "readers" }\npublish = { auth = { tokens = "tokens" } }\n`,
        files: { ...FILES, readers: `reader:${reading}\n` },
      });
      const headers = { authorization: 'Bearer reader-secret' };
      for (let round = 0; round < 5; round++) {
        const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/x`, { headers });
        socket.ws.close();
        await socket.closed;
      }
      assert.equal((await ask(running.port, '/x', post('yes', BEARER))).status, 202);
      assert.equal((await ask(running.port, '/x', { headers: BEARER })).status, 401, 'a writer is no reader');
    });

    test('pages of other origins write only where they may', async (t) => {
      const [app, shop] = ['https://app.example.org', 'https://shop.example.org'];
      const running = await startGateway(t, {
        config: `${listen}[stream."/x"]\npublish = { origins = ["${app}"] }\ncors = { origins = ["${shop}"] }\n`,
      });
      const { port } = running;
      const read = await ask(port, '/x', post('no', { origin: shop }));
      assert.equal(read.status, 403);
      for (const fields of [
        { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
        { origin: 'null' },
        { origin: 'http://evil.example' },
      ])
        assert.equal((await ask(port, '/x', post('no', fields))).status, 403);
      const wrote = await ask(port, '/x', post('yes', { origin: app }));
      assert.deepEqual([wrote.status, wrote.headers['access-control-allow-origin']], [202, app]);
      const preflight = { origin: app, 'access-control-request-method': 'PUT' };
      const allowed = await ask(port, '/x', { method: 'OPTIONS', headers: preflight });
      assert.equal(allowed.status, 204);
      assert.match(String(allowed.headers['access-control-allow-methods']), /\bPUT\b/);
      const shopping = await TestSocket.open(`ws://127.0.0.1:${port}/x`, { origin: shop });
      shopping.ws.send('no');
      assert.equal((await shopping.closed).code, 1008);
    });

    test('a rate of messages: 429 for a POST', async (t) => {
      const running = await startGateway(t, {
        config: `${listen}[connections]\nexempt = []\n[stream."/x"]\npublish = true\nlimits = { messages_per_second = 1 }\n`,
      });
      assert.equal((await ask(running.port, '/x', post('1'))).status, 202);
      const refused = await ask(running.port, '/x', post('2'));
      assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '1']);
    });
  });
