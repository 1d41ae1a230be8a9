/** The contract of an engine: listening, being refused, stopping. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { chooseEngine } from '../../src/engine/choose.ts';
import { type Exchange, type ListenAddress, ListenError } from '../../src/engine/engine.ts';
import { openAssets } from '../../src/ops/assets.ts';
import { freePort } from '../support/ports.ts';
import { RawClient, rawRequest } from '../support/raw.ts';
import { CONTRACT, MAX_HEADER_BYTES, Trial, text } from '../support/trial.ts';
import { until } from '../support/until.ts';
import { Client, Recorded, upgradeTo } from '../support/websocket.ts';

const GET = 'GET / HTTP/1.1\r\nHost: board.test\r\n\r\n';
const folder = mkdtempSync(join(tmpdir(), 'engine-'));
after(() => rmSync(folder, { recursive: true }));

async function listenCode(name: (typeof CONTRACT)[number], address: ListenAddress): Promise<string> {
  try {
    const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')), { address });
    await trial.close();
    return 'listening';
  } catch (error) {
    assert(error instanceof ListenError, String(error));
    assert.match(error.message, /^cannot listen on test: /);
    return error.code;
  }
}

function listening(server: Server): Promise<Server> {
  return new Promise((resolve, reject) => server.once('listening', () => resolve(server)).once('error', reject));
}

for (const name of CONTRACT) {
  describe(`${name}: listening`, { concurrency: true }, () => {
    test('a port in use by either engine or another program is refused', async () => {
      for (const holder of CONTRACT) {
        const trial = await Trial.start(holder, (exchange) => exchange.reply(text('ok')));
        const { port } = trial;
        assert.equal(await listenCode(name, { kind: 'tcp', host: '127.0.0.1', port }), 'EADDRINUSE');
        assert.equal((await rawRequest(port, GET)).status, 200);
        await trial.close();
        assert.equal(await listenCode(name, { kind: 'tcp', host: '127.0.0.1', port }), 'listening');
      }
    });

    test('an address that is not ours, a host that is none, a port that is none', async () => {
      assert.equal(await listenCode(name, { kind: 'tcp', host: '192.0.2.1', port: 0 }), 'EADDRNOTAVAIL');
      assert.equal(await listenCode(name, { kind: 'tcp', host: '127.0.0.1', port: 65536 }), 'ERR_SOCKET_BAD_PORT');
      assert.match(await listenCode(name, { kind: 'tcp', host: 'no host', port: 0 }), /^(ENOTFOUND|EAI_AGAIN)$/);
    });

    test('a listener can be opened again while old connections are still dying', async () => {
      const port = await freePort();
      const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('bye')), { address });
      const client = await RawClient.connect(port);
      client.send(GET);
      await client.reply();
      await trial.close();
      assert.equal(await listenCode(name, { kind: 'tcp', host: '127.0.0.1', port }), 'listening');
      client.destroy();
    });

    test('a Unix socket: served, and its file removed at the end', async () => {
      const path = join(folder, `${name}.sock`);
      const trial = await Trial.start(name, (exchange) => exchange.reply(text('ok')), {
        address: { kind: 'unix', path },
      });
      assert.equal(trial.listening.port, undefined);
      assert.equal((await rawRequest({ path }, GET)).status, 200);
      const request = trial.events.requests[0];
      assert.deepEqual(
        [request?.remoteAddress, request?.remotePort, request?.listener.port],
        ['unix', undefined, undefined],
      );
      assert.equal(await listenCode(name, { kind: 'unix', path }), 'EADDRINUSE');
      assert.equal((await rawRequest({ path }, GET)).status, 200);
      await trial.close();
      assert.equal(existsSync(path), false);
    });

    test('a socket file that nobody answers on is replaced', async () => {
      const path = join(folder, `${name}-stale.sock`);
      // A program that dies without tidying up.
      const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
      spawnSync(process.execPath, ['-e', program]);
      assert(existsSync(path));
      assert.equal(await listenCode(name, { kind: 'unix', path }), 'listening');
    });

    test('a live socket, a file, a link: refused and left alone', async () => {
      const live = join(folder, `${name}-live.sock`);
      const server = await listening(createServer().listen(live));
      assert.equal(await listenCode(name, { kind: 'unix', path: live }), 'EADDRINUSE');
      assert(existsSync(live));
      server.close();
      const file = join(folder, `${name}-file`);
      writeFileSync(file, 'precious');
      assert.equal(await listenCode(name, { kind: 'unix', path: file }), 'ENOTSOCK');
      assert(existsSync(file));
      const link = join(folder, `${name}-link`);
      symlinkSync(file, link);
      assert.equal(await listenCode(name, { kind: 'unix', path: link }), 'ENOTSOCK');
      assert(existsSync(link));
    });

    test('a path that is too long, and one in no directory', async () => {
      const long = join(folder, 'x'.repeat(120));
      assert.equal(await listenCode(name, { kind: 'unix', path: long }), 'ENAMETOOLONG');
      const fits = join(folder, 'y'.repeat(107 - folder.length - 1 - name.length) + name);
      assert.equal(await listenCode(name, { kind: 'unix', path: fits }), 'listening');
      assert.equal(await listenCode(name, { kind: 'unix', path: join(folder, 'no', 'x.sock') }), 'ENOENT');
    });

    test('stop: no more connections, the pending answer arrives and closes, then it is finished', async () => {
      const held: Exchange[] = [];
      const trial = await Trial.start(name, (exchange) => held.push(exchange));
      const waiting = await RawClient.connect(trial.port);
      waiting.send(GET);
      await until(() => held.length === 1, 'the request');
      const idle = await RawClient.connect(trial.port);
      const { port } = trial;
      trial.listening.stop();
      trial.listening.stop();
      await assert.rejects(RawClient.connect(port));
      let finished = false;
      trial.listening.finished.then(() => {
        finished = true;
      });
      held[0]?.reply(text('last'));
      const reply = await waiting.reply();
      assert.equal(reply.body.toString(), 'last');
      assert.equal(reply.header('connection')?.toLowerCase(), 'close');
      await waiting.ended();
      await idle.ended();
      await until(() => finished, 'its end');
      await trial.close();
    });

    test('stop: a WebSocket is a connection, and lives until it is closed', async () => {
      const recorded = new Recorded((socket, data) => socket.send(data.toString(), false));
      const trial = await Trial.start(name, (exchange) => upgradeTo(exchange, recorded));
      const client = await Client.connect(trial.port);
      const socket = await recorded.opened();
      let finished = false;
      trial.listening.finished.then(() => {
        finished = true;
      });
      trial.listening.stop();
      client.native.send('echo');
      await until(() => client.messages.length === 1, 'the echo');
      assert.equal(finished, false);
      socket.close(1001, 'stopping');
      assert.equal(await client.closed(), '1001 stopping');
      await until(() => finished, 'its end');
      await trial.close();
    });

    test('close: everything is dropped, and everybody is told', async () => {
      const recorded = new Recorded();
      let aborted = 0;
      let asked = 0;
      const trial = await Trial.start(name, (exchange) => {
        asked++;
        if (exchange.handshake !== undefined) return upgradeTo(exchange, recorded);
        exchange.onAborted(() => aborted++);
      });
      const socket = await Client.connect(trial.port);
      const waiting = await RawClient.connect(trial.port);
      waiting.send(GET);
      const idle = await RawClient.connect(trial.port);
      await until(() => asked === 2, 'both requests');
      await trial.close();
      await Promise.all([waiting.ended(), idle.ended(), socket.closed()]);
      assert.equal(await recorded.closed(), 'close 1006 ');
      assert.equal(aborted, 1);
    });

    test('many connections that come and go leave the count at nothing', async () => {
      const recorded: Recorded[] = [];
      const trial = await Trial.start(name, (exchange) => {
        if (exchange.handshake === undefined) return exchange.reply(text('ok'));
        const each = new Recorded();
        recorded.push(each);
        upgradeTo(exchange, each);
      });
      await Promise.all(
        Array.from({ length: 50 }, async (_, at) => {
          if (at % 2) {
            const client = await Client.connect(trial.port);
            client.native.close();
            await client.closed();
          } else {
            await rawRequest(trial.port, GET);
          }
        }),
      );
      await until(() => recorded.every((each) => each.events.length === 2), 'all closes');
      trial.listening.stop();
      await trial.listening.finished;
      await trial.close();
    });
  });
}

test('the choice of an engine', async () => {
  const assets = openAssets();
  const broken = { ...assets, single: true };
  assert.equal((await chooseEngine('auto', assets, MAX_HEADER_BYTES)).engine.name, 'auto');
  assert.equal((await chooseEngine('uws', assets, MAX_HEADER_BYTES)).fallback, undefined);
  assert.deepEqual((await chooseEngine('node', broken, MAX_HEADER_BYTES)).fallback, undefined);
  const fallen = await chooseEngine('auto', broken, MAX_HEADER_BYTES);
  assert.equal(fallen.engine.name, 'node');
  assert.match(fallen.fallback ?? '', /^uWebSockets\.js cannot be loaded: ./);
  await assert.rejects(chooseEngine('uws', broken, MAX_HEADER_BYTES), /cannot be loaded/);
});
