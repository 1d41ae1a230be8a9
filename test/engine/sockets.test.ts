/** The contract of an engine: WebSocket. The same for both; what differs is a row of its own. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Exchange } from '../../src/engine/engine.ts';
import { RawClient, rawRequest } from '../support/raw.ts';
import { CONTRACT, engineName, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';
import { Client, Recorded, upgradeTo } from '../support/websocket.ts';

const HOST = 'Host: board.test\r\n';
const ASK = `${HOST}Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n`;
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const VERSION = 'Sec-WebSocket-Version: 13\r\n';
const HIGH_WATER = 64 * 1024;

for (const name of CONTRACT) {
  describe(`${name}: WebSocket`, { concurrency: true }, () => {
    for (const later of [false, true]) {
      test(`an upgrade with subprotocol and headers, decided ${later ? 'later' : 'at once'}`, async () => {
        const recorded = new Recorded();
        const trial = await Trial.start(name, (exchange) => {
          assert.deepEqual(exchange.handshake, { protocols: ['mqttv3.1', 'mqtt'] });
          const headers = [
            ['set-cookie', 'a=1'],
            ['x-name', 'caf\xc3\xa9'],
          ] as const;
          const go = () => upgradeTo(exchange, recorded, { protocol: 'mqtt', headers });
          if (later) setTimeout(go, 5);
          else go();
        });
        const client = await Client.connect(trial.port, ['mqttv3.1', 'mqtt']);
        assert.equal(client.native.protocol, 'mqtt');
        assert.equal(client.headers.get('set-cookie'), 'a=1');
        assert.equal(client.headers.get('x-name'), 'caf\xc3\xa9');
        await recorded.opened();
        client.native.close();
        await recorded.closed();
        await trial.close();
      });
    }

    test('many upgrades decided later, each at another moment: every client keeps its connection', async () => {
      const trial = await Trial.start(name, (exchange) => {
        const echo = new Recorded((socket, data) => socket.send(data, false));
        setTimeout(() => upgradeTo(exchange, echo), Math.random() * 5);
      });
      const talk = async (at: number): Promise<void> => {
        const client = await Client.connect(trial.port);
        client.native.send(`hello ${at}`);
        await until(() => client.messages.length > 0 || client.ended !== undefined, 'the echo');
        assert.equal(client.ended, undefined);
        assert.equal(client.messages[0]?.data.toString(), `hello ${at}`);
        client.native.close();
      };
      for (let round = 0; round < 25; round++) await Promise.all(Array.from({ length: 16 }, (_, at) => talk(at)));
      await trial.close();
    });

    test('no subprotocol chosen: none is announced', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const reply = await rawRequest(
        trial.port,
        `GET / HTTP/1.1\r\n${ASK}${KEY}${VERSION}Sec-WebSocket-Protocol: mqtt\r\n\r\n`,
      );
      assert.equal(reply.status, 101);
      assert.equal(reply.header('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
      assert.equal(reply.header('sec-websocket-protocol'), undefined);
      assert.equal(await recorded.closed(), 'close 1006 ');
      await trial.close();
    });

    for (const status of [401, 403, 404, 503]) {
      for (const later of [false, true]) {
        test(`an upgrade refused with ${status}, ${later ? 'later' : 'at once'}`, async () => {
          const trial = await Trial.start(name, (exchange) => {
            const refuse = () => exchange.reply(text('not now', status, [['retry-after', '5']]));
            if (later) setTimeout(refuse, 5);
            else refuse();
          });
          const reply = await rawRequest(trial.port, `GET / HTTP/1.1\r\n${ASK}${KEY}${VERSION}\r\n`);
          assert.equal(reply.status, status);
          assert.equal(reply.body.toString(), 'not now');
          assert.equal(reply.header('retry-after'), '5');
          await trial.close();
        });
      }
    }

    for (const [what, head, status] of [
      ['another version', `${ASK}${KEY}Sec-WebSocket-Version: 8\r\n`, 426],
      ['no version', `${ASK}${KEY}`, 426],
      ['no key', `${ASK}${VERSION}`, 400],
      ['a short key', `${ASK}Sec-WebSocket-Key: abc\r\n${VERSION}`, 400],
      [
        'a key of the right length that is none',
        `${ASK}Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!!!\r\n${VERSION}`,
        400,
      ],
      ['a bad subprotocol', `${ASK}${KEY}${VERSION}Sec-WebSocket-Protocol: a b\r\n`, 400],
      ['a body', `${ASK}${KEY}${VERSION}Content-Length: 1\r\n`, 400],
    ] as const) {
      test(`a handshake with ${what}: ${status}`, async () => {
        const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')));
        const reply = await rawRequest(trial.port, `GET / HTTP/1.1\r\n${head}\r\nx`);
        assert.equal(reply.status, status);
        assert.equal(reply.header('sec-websocket-version'), status === 426 ? '13' : undefined);
        assert.equal(trial.events.refusals.length, 1);
        assert.equal(trial.events.requests.length, 0);
        await trial.close();
      });
    }

    for (const [what, head] of [
      ['Upgrade', `${HOST}Connection: Upgrade\r\n${KEY}${VERSION}`],
      ['Connection', `${HOST}Upgrade: websocket\r\n${KEY}${VERSION}`],
      ['both, as a proxy leaves it that knows nothing of WebSocket', `${HOST}Connection: close\r\n${KEY}${VERSION}`],
      ['anything but the key', `${HOST}${KEY}`],
    ] as const) {
      test(`a handshake without ${what}: 426`, async () => {
        const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')));
        const reply = await rawRequest(trial.port, `GET / HTTP/1.1\r\n${head}\r\n`);
        assert.equal(reply.status, 426);
        assert.equal(reply.header('upgrade'), 'websocket');
        const connection = reply.headers.filter(([field]) => field === 'connection').map(([, value]) => value);
        assert.match(connection.join(', '), /\bupgrade\b/);
        assert.match(reply.body.toString(), /a proxy in between/);
        assert.deepEqual([trial.events.refusals.length, trial.events.requests.length], [1, 0]);
        await trial.close();
      });
    }

    for (const [what, line, head] of [
      ['that is a HEAD', 'HEAD', `${ASK}${KEY}${VERSION}`],
      ['of which only the version is left', 'GET', `${HOST}${VERSION}`],
      [
        'of which only Upgrade and Connection are left, but for something else',
        'GET',
        `${HOST}Connection: Upgrade\r\nUpgrade: h2c\r\n`,
      ],
    ] as const) {
      test(`a handshake ${what} is an ordinary request`, async () => {
        const trial = await Trial.start(name, (exchange) => {
          assert.equal(exchange.handshake, undefined);
          exchange.reply(text('ok'));
        });
        const reply = await rawRequest(trial.port, `${line} / HTTP/1.1\r\n${head}\r\n`, line);
        assert.equal(reply.status, 200);
        await trial.close();
      });
    }

    test('an upgrade that nobody asked for, and a subprotocol that nobody offered, become a 500', async () => {
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, new Recorded(), { protocol: 'x' }));
      assert.equal((await rawRequest(trial.port, `GET / HTTP/1.1\r\n${HOST}\r\n`)).status, 500);
      assert.equal((await rawRequest(trial.port, `GET / HTTP/1.1\r\n${ASK}${KEY}${VERSION}\r\n`)).status, 500);
      await trial.close([/no handshake/, /did not offer/]);
    });

    test('a client that leaves before the decision: the late upgrade does nothing', async () => {
      let exchange: Exchange | undefined;
      let aborted = 0;
      const trial = await Trial.start(name, (each) => {
        exchange = each;
        each.onAborted(() => aborted++);
      });
      const client = await RawClient.connect(trial.port);
      client.send(`GET / HTTP/1.1\r\n${ASK}${KEY}${VERSION}\r\n`);
      await until(() => exchange !== undefined, 'the request');
      client.destroy();
      await until(() => aborted === 1, 'the abort');
      const recorded = new Recorded();
      if (exchange !== undefined) upgradeTo(exchange, recorded);
      await trial.close();
      assert.deepEqual([recorded.events, recorded.cancels, aborted], [[], 1, 1]);
    });

    test('text and binary messages both ways, from empty to large', async () => {
      const recorded = new Recorded((socket, data, binary) => socket.send(binary ? data : data.toString(), binary));
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded, { maxMessage: 8 << 20 }), {
        maxMessage: 8 << 20,
      });
      const client = await Client.connect(trial.port);
      const sent = ['', 'grün €', 'x'.repeat(70_000), Buffer.alloc(0), Buffer.from([0, 255]), Buffer.alloc(8 << 20, 7)];
      for (const message of sent) client.native.send(message);
      await until(() => client.messages.length === sent.length, 'all echoes');
      for (const [at, message] of sent.entries()) {
        const echo = client.messages[at];
        assert.equal(echo?.binary, typeof message !== 'string');
        assert(echo?.data.equals(Buffer.from(message)));
        assert.equal(recorded.messages[at]?.binary, typeof message !== 'string');
      }
      client.native.close();
      await recorded.closed();
      await trial.close();
    });

    test("a message is the handler's own copy", async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const client = await Client.connect(trial.port);
      for (let at = 0; at < 200; at++) client.native.send(`message ${at}`);
      await until(() => recorded.messages.length === 200, 'all messages');
      assert.deepEqual(
        recorded.messages.map(({ data }) => data.toString()),
        Array.from({ length: 200 }, (_, at) => `message ${at}`),
      );
      client.native.terminate();
      await recorded.closed();
      await trial.close();
    });

    test('a fragmented message arrives as one', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const client = await Client.connect(trial.port);
      client.native.send('one ', { fin: false });
      client.native.ping();
      client.native.send('two ', { fin: false });
      client.native.send('three', { fin: true });
      await until(() => recorded.messages.length === 1, 'the message');
      assert.equal(recorded.messages[0]?.data.toString(), 'one two three');
      client.native.terminate();
      await recorded.closed();
      await trial.close();
    });

    test('back-pressure: send says so, drain comes once everything is with the kernel, nothing is lost', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const client = await Client.connect(trial.port);
      const socket = await recorded.opened();
      client.native.pause();
      const message = Buffer.alloc(256 * 1024, 'abcdefg');
      let sent = 0;
      let bufferedAtDrain: number | undefined;
      recorded.drain = () => {
        recorded.drains++;
        bufferedAtDrain = socket.bufferedAmount;
      };
      while (true) {
        sent++;
        const more = socket.send(message, true);
        assert.equal(more, socket.bufferedAmount <= HIGH_WATER);
        if (!more) break;
        assert(sent < 1000, 'send never said that the socket is behind');
      }
      // What is sent nevertheless is taken all the same.
      for (let extra = 0; extra < 20; extra++) {
        assert.equal(socket.send(message, true), false);
        sent++;
      }
      assert.equal(recorded.drains, 0);
      client.native.resume();
      await until(() => recorded.drains > 0, 'the drain');
      assert.equal(bufferedAtDrain, 0);
      await until(() => client.messages.length === sent, 'all messages');
      assert(client.messages.every(({ data }) => data.equals(message)));
      assert.equal(recorded.drains, 1);
      assert.equal(socket.send('after', false), true);
      await until(() => client.messages.length === sent + 1, 'one more');
      client.native.close();
      await recorded.closed();
      await trial.close();
    });

    test('a close behind much unsent data comes after it', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const client = await Client.connect(trial.port);
      const socket = await recorded.opened();
      client.native.pause();
      const hash = createHash('sha256');
      const message = Buffer.alloc(1 << 20, 'xyz');
      for (let at = 0; at < 20; at++) {
        socket.send(message, true);
        hash.update(message);
      }
      socket.close(1000, 'that was all');
      client.native.resume();
      assert.equal(await client.closed(), '1000 that was all');
      assert.equal(client.messages.length, 20);
      const received = createHash('sha256');
      for (const { data } of client.messages) received.update(data);
      assert.equal(received.digest('hex'), hash.digest('hex'));
      assert.equal(await recorded.closed(), 'close 1000 that was all');
      await trial.close();
    });

    const long = 'ä'.repeat(100);
    for (const [code, reason, seen] of [
      [1000, 'done', '1000 done'],
      [4000, 'mine', '4000 mine'],
      [1001, '', '1001 '],
      [1005, '', '1005 '],
      [1006, 'never on the wire', '1011 never on the wire'],
      [99, 'nonsense', '1011 nonsense'],
      [1011, long, `1011 ${'ä'.repeat(61)}`],
    ] as const) {
      test(`the server closes with ${code} ${reason.slice(0, 20)}`, async () => {
        const recorded = new Recorded();
        const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
        const client = await Client.connect(trial.port);
        const socket = await recorded.opened();
        socket.close(code, reason);
        assert.deepEqual(recorded.events, ['open'], 'no handler is called from inside of a method');
        socket.close(1000, 'again');
        assert.equal(await client.closed(), seen);
        assert.equal(await recorded.closed(), `close ${seen}`);
        // Everything is harmless now.
        assert.equal(socket.send('late', false), true);
        assert.equal(socket.bufferedAmount, 0);
        socket.ping();
        socket.pause();
        socket.resume();
        socket.close(1000, '');
        socket.terminate();
        await trial.close();
        assert.deepEqual(recorded.events, ['open', `close ${seen}`]);
      });
    }

    for (const [code, reason, seen] of [
      [1000, 'done', '1000 done'],
      [4000, 'meins: ä', '4000 meins: ä'],
      [undefined, '', '1005 '],
    ] as const) {
      test(`the client closes with ${code}`, async () => {
        const recorded = new Recorded();
        const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
        const client = await Client.connect(trial.port);
        await recorded.opened();
        client.native.close(code, reason);
        assert.equal(await recorded.closed(), `close ${seen}`);
        await client.closed();
        await trial.close();
      });
    }

    for (const [what, payload, uws, node] of [
      ['1012', [0x03, 0xf4], 1005, 1012],
      ['3000', [0x0b, 0xb8], 1005, 3000],
      ['4000', [0x0f, 0xa0], 4000, 4000],
      ['999', [0x03, 0xe7], 1005, 1002],
      ['one byte', [0x03], 1005, 1002],
      ['a reason that is not UTF-8', [0x03, 0xe8, 0xc3], 1005, 1007],
    ] as const) {
      test(`a close frame of the client with ${what}: ${uws} from uws, ${node} from node`, async () => {
        const recorded = new Recorded();
        const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
        const client = await RawClient.connect(trial.port);
        client.send(`GET / HTTP/1.1\r\n${ASK}${KEY}${VERSION}\r\n`);
        await recorded.opened();
        client.send(Buffer.from([0x88, 0x80 | payload.length, 0, 0, 0, 0, ...payload]));
        assert.equal(await recorded.closed(), `close ${{ uws, node }[engineName(name)]} `);
        const understood = engineName(name) !== 'uws' || uws !== 1005;
        const frame = understood ? [0x88, 2, node >> 8, node & 0xff] : [0x88, 0];
        await until(() => client.received.includes(Buffer.from(frame)), 'the answering close frame');
        client.destroy();
        await trial.close();
      });
    }

    test('either side drops the connection: 1006', async () => {
      const recorded = [new Recorded(), new Recorded()];
      let next = 0;
      const trial = await Trial.start(name, (exchange) => {
        const handlers = recorded[next++];
        if (handlers !== undefined) upgradeTo(exchange, handlers);
      });
      const first = await Client.connect(trial.port);
      await recorded[0]?.opened();
      first.native.terminate();
      assert.equal(await recorded[0]?.closed(), 'close 1006 ');
      const second = await Client.connect(trial.port);
      const socket = await recorded[1]?.opened();
      socket?.terminate();
      assert.deepEqual(recorded[1]?.events, ['open']);
      assert.equal(await recorded[1]?.closed(), 'close 1006 ');
      assert.equal(await second.closed(), '1006 ');
      await trial.close();
    });

    test('a message over the limit: 1009 for both', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded, { maxMessage: 1000 }));
      const client = await Client.connect(trial.port);
      client.native.send(Buffer.alloc(1000));
      client.native.send(Buffer.alloc(1001));
      assert.equal(await client.closed(), '1009 message too big');
      assert.match(await recorded.closed(), /^close 1009 /);
      assert.equal(recorded.messages.length, 1);
      await trial.close();
    });

    test('a message far over the limit: 1009 from node, dropped by uws', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded, { maxMessage: 1000 }), {
        maxMessage: 1000,
      });
      const client = await Client.connect(trial.port);
      client.native.send(Buffer.alloc(200_000));
      assert.match(await client.closed(), { uws: /^1006 /, node: /^1009 / }[engineName(name)]);
      assert.match(await recorded.closed(), { uws: /^close 1006 $/, node: /^close 1009 $/ }[engineName(name)]);
      await trial.close();
    });

    test('text that is not UTF-8: 1007 from node, dropped by uws; never handed up', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const client = await Client.connect(trial.port);
      client.native.send(Buffer.from([0xc3, 0x28]), { binary: false });
      assert.match(await client.closed(), { uws: /^1006 /, node: /^1007 / }[engineName(name)]);
      assert.match(await recorded.closed(), { uws: /^close 1006 $/, node: /^close 1007 $/ }[engineName(name)]);
      assert.equal(recorded.messages.length, 0);
      await trial.close();
    });

    test('ping and pong', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const client = await Client.connect(trial.port);
      const socket = await recorded.opened();
      socket.ping();
      await until(() => recorded.events.includes('pong'), 'the pong');
      assert.equal(client.pings, 1);
      let ponged = false;
      client.native.on('pong', () => {
        ponged = true;
      });
      client.native.ping();
      await until(() => ponged, 'our pong');
      client.native.terminate();
      await recorded.closed();
      await trial.close();
    });

    test('a client that sends pings and reads nothing is dropped; what it has not read otherwise does not count', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const client = await RawClient.connect(trial.port);
      client.send(`GET / HTTP/1.1\r\n${ASK}${KEY}${VERSION}\r\n`);
      const socket = await recorded.opened();
      client.socket.pause();
      // More than the kernel takes, so that pongs have to wait behind it.
      while (socket.bufferedAmount < 1 << 20) socket.send(Buffer.alloc(1 << 18), true);
      const ping = Buffer.concat([Buffer.from([0x89, 0x80 | 125]), Buffer.alloc(4 + 125)]);
      const pings = () => recorded.events.filter((event) => event === 'ping 125').length;
      client.send(Buffer.concat(Array.from({ length: 50 }, () => ping)));
      await until(() => pings() === 50, 'the pings to be told');
      const before = socket.bufferedAmount;
      const many = Buffer.concat(Array.from({ length: 1000 }, () => ping));
      let most = 0;
      for (let round = 0; round < 50 && !client.closed; round++) {
        client.send(many);
        most = Math.max(most, socket.bufferedAmount);
        await new Promise(setImmediate);
      }
      assert.match(await recorded.closed(), /^close 1006/);
      assert(most < before + (1 << 18), `${most - before} bytes of pongs wait`);
      assert.deepEqual(trial.events.refusals, ['pings whose answers are not read']);
      client.destroy();
      await trial.close();
    });

    test('reading can be stopped: by node, not by uws', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const client = await Client.connect(trial.port);
      const socket = await recorded.opened();
      assert.equal(socket.pause(), { uws: false, node: true }[engineName(name)]);
      if (engineName(name) !== 'uws') {
        const bytes = Buffer.alloc(1 << 16);
        for (let at = 0; at < 1000; at++) client.native.send(bytes);
        let before = -1;
        await until(() => {
          const still = client.native.bufferedAmount > 0 && client.native.bufferedAmount === before;
          before = client.native.bufferedAmount;
          return still;
        }, 'the client to be held back');
        assert(recorded.messages.length < 100, `${recorded.messages.length} messages came through`);
        socket.resume();
        await until(() => recorded.messages.length === 1000, 'all messages');
      }
      client.native.terminate();
      await recorded.closed();
      await trial.close();
    });

    test('a close while reading is stopped still completes', async () => {
      const recorded = new Recorded();
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const client = await Client.connect(trial.port);
      const socket = await recorded.opened();
      socket.pause();
      socket.close(1000, 'bye');
      assert.equal(await client.closed(), '1000 bye');
      assert.equal(await recorded.closed(), 'close 1000 bye');
      await trial.close();
    });

    test('a throw in a handler: that socket is closed with 1011, the process lives', async () => {
      const throwing = (what: string): Recorded => {
        const recorded = new Recorded(() => {
          if (what === 'message') throw new Error(`a mistake in ${what}`);
        });
        const { open } = recorded;
        recorded.open = (socket) => {
          open.call(recorded, socket);
          if (what === 'open') throw new Error(`a mistake in ${what}`);
        };
        return recorded;
      };
      const handlers = { '/open': throwing('open'), '/message': throwing('message'), '/none': throwing('') };
      const trial = await Trial.start(name, (exchange) => {
        for (const [path, each] of Object.entries(handlers))
          if (path === exchange.request.path) upgradeTo(exchange, each);
      });
      const other = await Client.connect(trial.port, [], '/none');
      for (const path of ['/open', '/message'] as const) {
        const client = await Client.connect(trial.port, [], path);
        client.native.send('x');
        assert.equal(await client.closed(), '1011 internal error');
        assert.equal(await handlers[path].closed(), 'close 1011 internal error');
      }
      other.native.send('still here');
      await until(() => handlers['/none'].messages.length === 1, 'the other socket');
      other.native.terminate();
      await handlers['/none'].closed();
      await trial.close([/mistake in open/, /mistake in message/]);
    });
  });
}
