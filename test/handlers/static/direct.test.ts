/** Large files on `uws`, which go past it to connections that are known: whole, in order, to the right client, with nothing left behind. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, truncateSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Running, startGateway } from '../../support/gateway.ts';
import { until } from '../../support/until.ts';

const LARGE = 12_000_000;
const CONFIG = '[[listen]]\naddress = "127.0.0.1:0"\nengine = "uws"\n[static."/"]\nroot = "www"\n';

const files = [randomBytes(LARGE), randomBytes(LARGE)] as const;

function start(t: Parameters<typeof startGateway>[0], config = CONFIG): Promise<Running> {
  const small = Buffer.from('small\n');
  return startGateway(t, {
    config,
    files: { 'www/0.bin': files[0], 'www/1.bin': files[1], 'www/s.txt': small },
  });
}

/** One kept connection, read at its own pace. */
class Client {
  private pieces: Buffer[] = [];
  private length = 0;
  private constructor(readonly socket: Socket) {
    socket.on('data', (bytes) => {
      this.pieces.push(bytes);
      this.length += bytes.length;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  isClosed = false;

  get received(): number {
    return this.length;
  }

  static async open(port: number): Promise<Client> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Client(socket);
  }

  ask(path: string, fields = ''): void {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: board.test\r\n${fields}\r\n`);
  }

  /** The body of the next answer. */
  async answer(): Promise<Buffer> {
    let head = '';
    // It comes in the first pieces.
    const whole = (): boolean => {
      head = Buffer.concat(this.pieces.slice(0, 3)).toString('latin1', 0, 2000);
      return head.includes('\r\n\r\n');
    };
    await until(() => whole() || this.isClosed, 'a head');
    const end = head.indexOf('\r\n\r\n') + 4;
    const length = Number(/^content-length: (\d+)/im.exec(head.slice(0, end))?.[1]);
    await until(() => this.length >= end + length || this.isClosed, 'a body');
    const all = Buffer.concat(this.pieces, this.length);
    assert.equal(all.length, end + length);
    this.pieces = [];
    this.length = 0;
    return all.subarray(end);
  }
}

test('a stop in the midst of a file: it is sent to its end, and uWebSockets.js has nothing to complain of', async (t) => {
  const running = await start(t);
  const client = await Client.open(running.port);
  client.ask('/0.bin');
  await until(() => client.received > 100_000, 'the beginning');
  client.socket.pause();
  const stopped = running.stop();
  await running.logged(({ message }) => message === 'SIGTERM: stopping');
  // It reads as a slow client does, so that some is left to write each time.
  const reading = setInterval(() => {
    client.socket.resume();
    setImmediate(() => client.socket.pause());
  }, 2);
  const rest = client.answer();
  t.after(() => clearInterval(reading));
  assert.ok((await rest).equals(files[0]));
  clearInterval(reading);
  client.socket.resume();
  assert.equal(await stopped, 0);
  assert.equal(running.noise(), '');
});

test('one connection after the other and many at once, of one address: each gets its own file, then a small one', async (t) => {
  const { port } = await start(t);
  const one = await Client.open(port);
  for (const at of [0, 1, 0] as const) {
    one.ask(`/${at}.bin`);
    assert.ok((await one.answer()).equals(files[at]));
  }
  one.ask('/1.bin', 'Range: bytes=1000-9000000\r\n');
  assert.ok((await one.answer()).equals(files[1].subarray(1000, 9_000_001)));
  one.ask('/s.txt');
  assert.equal((await one.answer()).toString(), 'small\n');
  // More than are known by their ports.
  const many = await Promise.all(Array.from({ length: 12 }, () => Client.open(port)));
  const answered = many.map(async (client, at) => {
    client.ask(`/${at % 2}.bin`);
    assert.ok((await client.answer()).equals(files[at % 2 === 0 ? 0 : 1]), `client ${at}`);
    client.ask('/s.txt');
    assert.equal((await client.answer()).toString(), 'small\n');
    client.socket.destroy();
  });
  await Promise.all(answered);
});

test('clients that stop reading get the rest later, and those that leave at any point leave nothing', async (t) => {
  const { port, pid } = await start(t);
  const descriptors = (): number => readdirSync(`/proc/${pid}/fd`).length;
  const first = await Client.open(port);
  first.ask('/s.txt');
  await first.answer();
  const before = descriptors();
  const slow = await Client.open(port);
  slow.ask('/1.bin');
  for (let pause = 0; pause < 5; pause++) {
    await once(slow.socket, 'data');
    slow.socket.pause();
    // As many connections as are known by their ports come and go meanwhile, reading or not.
    const others = await Promise.all(Array.from({ length: 8 }, () => Client.open(port)));
    for (const [at, other] of others.entries()) {
      other.ask('/0.bin');
      if (at % 2 === 0) other.socket.pause();
      else await once(other.socket, 'data');
    }
    for (const [at, other] of others.entries()) at % 3 === 0 ? other.socket.resetAndDestroy() : other.socket.destroy();
    slow.socket.resume();
  }
  assert.ok((await slow.answer()).equals(files[1]));
  slow.socket.destroy();
  await until(() => descriptors() <= before, 'descriptors to be closed');
});

test('a client that does not read holds the gateway back, and is cut when it is slower than allowed; the log has what was sent', async (t) => {
  const gateway = await start(t, `${CONFIG}limits = { reply_rate = "1MB", rate_window = "1s" }\n`);
  const client = await Client.open(gateway.port);
  client.ask('/0.bin');
  await until(() => client.received > 0, 'the first bytes');
  client.socket.pause();
  const line = await gateway.logged(({ message }) => message === 'GET /0.bin');
  assert.equal(line['status'], 200);
  assert.match(String(line['cut']), /too slowly/);
  const sent = Number(line['bytes']);
  assert.ok(sent > 0 && sent < LARGE, String(sent));
  client.socket.resume();
  await until(() => client.isClosed, 'the end');
  assert.ok(client.received - 1000 <= sent, `${client.received} of ${sent}`);
});

test('what was sent is counted; of a file that shrinks no more comes than there is, and the connection is cut', async (t) => {
  const gateway = await start(t);
  const client = await Client.open(gateway.port);
  client.ask('/0.bin');
  assert.ok((await client.answer()).equals(files[0]));
  client.ask('/0.bin', 'Range: bytes=100-10000099\r\n');
  await client.answer();
  for (const bytes of [LARGE, 10_000_000])
    await gateway.logged(
      (line) => line.message === 'GET /0.bin' && line['bytes'] === bytes && line['cut'] === undefined,
    );

  client.ask('/1.bin');
  await until(() => client.received > 0, 'the first bytes');
  client.socket.pause();
  const kept = readFileSync(join(gateway.folder, 'www/1.bin'));
  truncateSync(join(gateway.folder, 'www/1.bin'), 0);
  client.socket.resume();
  const line = await gateway.logged(({ message }) => message === 'GET /1.bin');
  assert.match(String(line['cut']), /became shorter/);
  await until(() => client.isClosed, 'the end');
  assert.ok(client.received < kept.length);
});
