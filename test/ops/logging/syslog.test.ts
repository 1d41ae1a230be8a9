/** Lines to a syslog over each way, and their level for the journal: as a reader of the system gets them. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isJournal } from '../../../src/ops/logging/journal.ts';
import { folderWith } from '../../support/gateway.ts';
import { freePort } from '../../support/ports.ts';
import { until } from '../../support/until.ts';

const MAIN = new URL('../../../src/main.js', import.meta.url).pathname;
const STATIC = '[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "."\n[cgi."/fails"]\ncommand = ["./fails"]\n';
const FILES = { fails: '#!/bin/sh\nexit 1\n' };

function isMissing(program: string): string | false {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return false;
  } catch {
    return `${program} is not installed`;
  }
}

/** A gateway whose log goes elsewhere, so that nobody is told when it is ready. */
function serve(t: TestContext, syslog: string): ChildProcess {
  const folder = folderWith(t, { ...FILES, 'runnel.toml': `${STATIC}[log]\nsyslog = "${syslog}"\n` });
  const child = spawn(process.execPath, [MAIN, 'serve', '-c', join(folder, 'runnel.toml')], { stdio: 'ignore' });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
  return child;
}

test('over a Unix socket, in the form of every local one', { skip: isMissing('socat') }, async (t) => {
  const folder = folderWith(t, {});
  const path = join(folder, 'log');
  const reader = spawn('socat', ['-u', `UNIX-RECV:${path}`, '-'], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => reader.kill('SIGKILL'));
  let got = '';
  reader.stdout?.on('data', (chunk: Buffer) => {
    got += chunk.toString();
  });
  await until(() => existsSync(path), 'the socket');
  const child = serve(t, `unix:${path}`);
  await until(() => got.includes('ready'), 'a line');
  assert.match(
    got,
    new RegExp(`<30>[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d runnel\\[${child.pid}\\]: listening on http`),
  );
});

test('over UDP, as RFC 5424', async (t) => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  const got: string[] = [];
  socket.on('message', (message) => got.push(message.toString()));
  const child = serve(t, `udp://127.0.0.1:${socket.address().port}`);
  await until(() => got.some((line) => line.endsWith(' ready')), 'a line');
  assert.match(
    got.at(-1) ?? '',
    new RegExp(`^<30>1 \\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z \\S+ runnel ${child.pid} - - ready$`),
  );
});

test('over TCP, with lengths, also when nobody listens at first', async (t) => {
  const port = await freePort();
  serve(t, `tcp://127.0.0.1:${port}`);
  let got = '';
  const server = createServer((peer) => {
    peer.on('data', (chunk: Buffer) => {
      got += chunk.toString();
    });
    peer.on('error', () => undefined);
  }).listen(port, '127.0.0.1');
  t.after(() => server.close());
  await until(() => got.includes(' ready'), 'a line');
  const [, length, rest] = /^(\d+) (<30>1 [\s\S]*)$/.exec(got) ?? [];
  assert.match(rest?.slice(0, Number(length)) ?? '', /listening on http\S+ port=\d+ engine=\w+$/);
});

test('over TCP, when the server ends and comes back: lines wait for it, whole and in their order', async (t) => {
  const received: string[] = [];
  const peers = new Set<Socket>();
  const listen = async (port: number) => {
    const server = createServer((peer) => {
      peers.add(peer);
      const at = received.push('') - 1;
      peer.on('data', (chunk: Buffer) => {
        received[at] += chunk.toString();
      });
      peer.on('error', () => undefined);
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    return server;
  };
  const first = await listen(0);
  const { port } = first.address() as AddressInfo;
  t.after(() => {
    for (const peer of peers) peer.destroy();
  });
  serve(t, `tcp://127.0.0.1:${port}`);
  await until(() => received.join('').includes(' ready'), 'a line');
  const url = /listening on (http:\S+)/.exec(received[0] ?? '')?.[1] ?? '';
  first.close();
  for (const peer of peers) peer.destroy();
  // The first may be on its way when the connection breaks.
  for (let number = 0; number < 6; number++) assert.equal((await fetch(`${url}none-${number}`)).status, 404);
  await listen(port);
  await until(() => received.join('').includes('/none-5 '), 'the last line');
  const [, ...later] = received;
  const numbers = later.flatMap((text) => inFrames(text).map((line) => /GET \/none-(\d)/.exec(line)?.[1]));
  assert.deepEqual(numbers, ['0', '1', '2', '3', '4', '5'].slice(-numbers.length));
  assert.ok(numbers.length >= 4, `${numbers.length} lines`);
});

/** The lines of RFC 6587's counted form. Throws where one is torn. */
function inFrames(text: string): readonly string[] {
  const lines: string[] = [];
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    const [head = '', length] = /^(\d+) </.exec(rest.toString('latin1')) ?? [];
    assert.ok(length !== undefined, rest.toString());
    const begin = head.length - 1;
    lines.push(rest.subarray(begin, begin + Number(length)).toString());
    rest = rest.subarray(begin + Number(length));
  }
  return lines;
}

test('the journal is told the level of each line, and nobody else', async (t) => {
  const folder = folderWith(t, {});
  const path = join(folder, 'journal');
  const stat = fstatSync(openSync(path, 'w'));
  assert.equal(isJournal(openSync(path, 'r'), { JOURNAL_STREAM: `${stat.dev}:${stat.ino}` }), true);
  assert.equal(isJournal(openSync(path, 'r'), { JOURNAL_STREAM: `${stat.dev}:${stat.ino + 1}` }), false);
  assert.equal(isJournal(1, {}), false);
  // A file stands for the journal: what counts is that it is the one that is named.
  const config = join(folderWith(t, { ...FILES, 'runnel.toml': STATIC }), 'runnel.toml');
  const launch = `exec "$0" "$1" serve -c "$2" >>"${path}"`;
  const child = spawn('sh', ['-c', launch, process.execPath, MAIN, config], {
    env: { ...process.env, JOURNAL_STREAM: `${stat.dev}:${stat.ino}` },
    stdio: 'ignore',
  });
  t.after(() => child.kill('SIGKILL'));
  await until(() => readFileSync(path, 'utf8').includes('"ready"'), 'a line');
  const port = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(readFileSync(path, 'utf8'))?.[1];
  await (await fetch(`http://127.0.0.1:${port}/fails`)).arrayBuffer();
  await until(() => readFileSync(path, 'utf8').includes('GET /fails'), 'the line of the request');
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.ok(lines.some((line) => /^<3>\{.*"level":"error"/.test(line)));
  assert.ok(lines.every((line) => /^<[3467]>\{.*\}$/.test(line)));
});
