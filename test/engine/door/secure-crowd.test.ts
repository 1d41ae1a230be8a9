/** The door of a TLS listener when very many come: silence and half hellos keep nobody else waiting, and used-up descriptors are got over, on both engines. */
import assert from 'node:assert/strict';
import { constants } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectSecurely } from 'node:tls';
import { Authority } from '../../support/certificates.ts';
import { type Running, startGateway } from '../../support/gateway.ts';
import { inTurns, tooFewFiles } from '../../support/many.ts';
import { descriptorsOf } from '../../support/processes.ts';
import { until } from '../../support/until.ts';
import { recordedHello } from './hellos.ts';

const SILENT = 2000;
/** What may stay open that was not there at first: files of what has been loaded meanwhile. */
const LOADED = 8;
const PAGE = 'GET /a.txt HTTP/1.1\r\nHost: board.test\r\nConnection: close\r\n\r\n';
const HELLO = recordedHello('node');
/** Of TLS 1.2 without tickets: such a one is Node's. */
const OLD: ConnectionOptions = { maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET };
const CLIENTS: readonly ConnectionOptions[] = [{}, OLD];

async function start(t: TestContext, more: string, launcher: readonly string[] = []): Promise<Running> {
  const { certificate, pem } = new Authority().server(['board.test']);
  const running = await startGateway(t, {
    config: `[[listen]]\naddress = "127.0.0.1:0"\ntls = { certificate = "board.pem", key = "board.key" }\n[static."/"]\nroot = "www"\n[log]\nrequests = false\n${more}`,
    files: { 'www/a.txt': 'a page', 'board.pem': certificate, 'board.key': pem },
    launcher,
  });
  // Both engines are there from here on, so that descriptors are only those of connections.
  for (const options of CLIENTS) assert.match(await ask(running.port, options), /^HTTP\/1\.1 200 .*a page$/s);
  return running;
}

/** All that comes, on a connection of its own. */
async function ask(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connectSecurely({
    host: '127.0.0.1',
    port,
    servername: 'board.test',
    rejectUnauthorized: false,
    ...options,
  });
  socket.write(PAGE);
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  try {
    await once(socket, 'close');
  } finally {
    socket.destroy();
  }
  return text;
}

/** Connections that send these bytes and then nothing, and read whatever comes. */
function crowdOf(t: TestContext, count: number, port: number, bytes: (index: number) => Buffer): Socket[] {
  const crowd = Array.from({ length: count }, (_, index) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    const first = bytes(index);
    if (first.length > 0) socket.write(first);
    return socket;
  });
  t.after(() => {
    for (const socket of crowd) socket.destroy();
  });
  return crowd;
}

/** Asks at least so many times by each engine, and until the gateway has let the crowd go, which is seen at its descriptors. */
async function servedMeanwhile(running: Running, least: number, before: number): Promise<void> {
  for (let served = 0; served < least || descriptorsOf(running.pid).length > before + LOADED; served++)
    for (const options of CLIENTS) assert.match(await ask(running.port, options), /^HTTP\/1\.1 200 .*a page$/s);
}

test(`${SILENT} connections that say nothing: other clients are served over TLS throughout, and the crowd is let go`, async (t) => {
  if (tooFewFiles(t, SILENT + 500)) return;
  const running = await start(
    t,
    `[connections]\nmax = ${SILENT + 200}\nmax_per_address = ${SILENT + 200}\nheader_time = "2s"\n`,
  );
  const before = descriptorsOf(running.pid).length;
  crowdOf(t, SILENT, running.port, () => Buffer.alloc(0));
  await servedMeanwhile(running, 100, before);
});

test('600 hellos that stop halfway, or end and are not gone on with: the same', async (t) => {
  const running = await start(t, '[connections]\nmax_per_address = 1000\nheader_time = "2s"\n');
  const before = descriptorsOf(running.pid).length;
  // The last of each ten are whole: their handshakes are begun, by uWebSockets.js, which has 12 s for them.
  const lengths = [1, 3, 5, 6, 11, 40, 100, HELLO.length >> 1, HELLO.length - 1, HELLO.length];
  crowdOf(t, 600, running.port, (index) => HELLO.subarray(0, lengths[index % lengths.length]));
  await servedMeanwhile(running, 100, before);
});

test('hellos that come a byte at a time are let go when the time for them is over', async (t) => {
  const running = await start(t, '[connections]\nmax_per_address = 1000\nheader_time = "2s"\n');
  const before = descriptorsOf(running.pid).length;
  const crowd = crowdOf(t, 200, running.port, () => Buffer.alloc(0));
  let at = 0;
  const drip = setInterval(() => {
    // Never the last one.
    const next = HELLO.subarray(at, at + 1);
    for (const socket of crowd) if (!socket.destroyed && at < HELLO.length - 1) socket.write(next);
    at++;
  }, 15);
  t.after(() => clearInterval(drip));
  await servedMeanwhile(running, 100, before);
});

test('no descriptor is left: no spinning, and served again by both engines once there are some', async (t) => {
  const running = await start(t, '[connections]\nmax_per_address = 1000\nheader_time = "2s"\n', [
    'prlimit',
    '--nofile=128:128',
  ]);
  const halves = [Buffer.alloc(0), HELLO.subarray(0, 100), HELLO];
  const crowd = crowdOf(t, 600, running.port, (index) => halves[index % halves.length] ?? HELLO);
  await until(() => crowd.filter(({ destroyed }) => destroyed).length >= 300, 'most to be let go');
  const before = processorTime(running.pid);
  const from = Date.now();
  await sleep(1000);
  const busy = (processorTime(running.pid) - before) / ((Date.now() - from) / 1000);
  assert(busy < 0.5, `a processor was busy ${Math.round(busy * 100)} % of the time`);
  for (const socket of crowd) socket.destroy();
  for (const options of CLIENTS) {
    let answer = '';
    for (let tries = 0; tries < 600 && !answer.includes('a page'); tries++) {
      answer = await ask(running.port, options).catch(() => '');
      await sleep(50);
    }
    assert.match(answer, /^HTTP\/1\.1 200 .*a page$/s);
  }
  assert.equal(running.process.exitCode, null);
});

test('100 handshakes at a time, in a crowd that is silent: none fails', async (t) => {
  const running = await start(t, '[connections]\nmax_per_address = 2000\nheader_time = "10s"\n');
  crowdOf(t, 500, running.port, () => Buffer.alloc(0));
  const answers = await inTurns(1000, 100, (index) => ask(running.port, CLIENTS[index % 4 === 0 ? 1 : 0] ?? {}));
  assert.deepEqual(
    answers.filter((answer) => !/^HTTP\/1\.1 200 .*a page$/s.test(answer)),
    [],
  );
});

/** Seconds of processor time, of the process and its threads. */
function processorTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
