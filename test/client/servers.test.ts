/** Servers that are not runnel, unmodified, and peers that die. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import mqtt from 'mqtt';
import { connect } from 'runnel/client';
import { startGateway } from '../support/gateway.ts';
import { HAS_MOSQUITTO, startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/until.ts';
import { failureOf, read, write } from './support.ts';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const PYTHON = '/usr/bin/python3';
const hasWebsockets = spawnSync(PYTHON, ['-c', 'import websockets']).status === 0;
const skip = hasWebsockets ? false : 'python3-websockets is not installed';

const ECHO = `
import asyncio, sys, websockets
async def echo(ws):
    async for message in ws:
        await ws.send(message)
async def main():
    async with websockets.serve(echo, sys.argv[1], 0, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
`;

import { freePort } from '../support/ports.ts';

/** @returns its port, and the process */
async function startPython(t: TestContext, launcher: readonly string[] = [], host = '127.0.0.1') {
  const [program = '', ...args] = [...launcher, PYTHON, '-c', ECHO, host];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    const exited = once(child, 'exit');
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await exited;
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { port: Number(line), child };
}

test('python3-websockets: text, bytes, a large message, and a close', { skip }, async (t) => {
  const { port } = await startPython(t);
  for (const url of [`ws://127.0.0.1:${port}/any`, `http://127.0.0.1:${port}/any`]) {
    const connection = await connect(url);
    const large = 'ü'.repeat(200_000);
    await write(connection, 'one', Uint8Array.of(1, 2), large);
    const [text, bytes, back] = await read(connection, 3);
    assert.equal(text, 'one');
    assert.deepEqual(Buffer.from(bytes as Uint8Array), Buffer.from([1, 2]));
    assert.equal(back, large);
    assert.deepEqual(await connection.close(), { code: 1000, reason: '' });
  }
});

test('a server that is killed, and one that is stopped, are noticed', { skip }, async (t) => {
  const killed = await startPython(t);
  const first = await connect(`ws://127.0.0.1:${killed.port}/`);
  killed.child.kill('SIGKILL');
  assert.equal((await failureOf(first.closed)).failure, 'lost');
  const stopped = await startPython(t);
  const second = await connect(`ws://127.0.0.1:${stopped.port}/`, { times: { ping: 500 } });
  await write(second, 'alive');
  await read(second, 1);
  stopped.child.kill('SIGSTOP');
  const error = await failureOf(second.closed);
  assert.equal(error.failure, 'lost');
  assert.match(error.message, /does not answer any more/);
});

test('a network that is gone is noticed, and the stream goes on when it is back', {
  skip: hasNetworks() ? skip : 'network namespaces need root and iproute2',
}, async (t) => {
  const name = `rc${process.pid}`;
  const ip = (...args: string[]): void => {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    assert.equal(status, 0, `ip ${args.join(' ')}: ${stderr}`);
  };
  ip('netns', 'add', name);
  t.after(() => spawnSync('ip', ['netns', 'del', name]));
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  ip('addr', 'add', '198.18.77.1/30', 'dev', name);
  ip('link', 'set', name, 'up');
  ip('-n', name, 'addr', 'add', '198.18.77.2/30', 'dev', 'eth0');
  ip('-n', name, 'link', 'set', 'eth0', 'up');
  const { port } = await startPython(t, ['ip', 'netns', 'exec', name], '198.18.77.2');
  let opened = 0;
  const reasons: string[] = [];
  const connection = await connect(`ws://198.18.77.2:${port}/`, {
    times: { ping: 500, connect: 1000 },
    reconnect: true,
    maxDelay: 100,
    onEvent: (event) => {
      if (event.type === 'open') opened++;
      if (event.type === 'waiting') reasons.push(event.reason);
    },
  });
  await write(connection, 'alive');
  await read(connection, 1);
  // Nothing comes back any more, and nobody says so.
  ip('-n', name, 'link', 'set', 'eth0', 'down');
  await until(() => reasons.length > 0, 'the loss');
  assert.match(reasons[0] ?? '', /does not answer any more/);
  ip('-n', name, 'link', 'set', 'eth0', 'up');
  await until(() => opened === 2, 'the second connection');
  await write(connection, 'again');
  assert.deepEqual(await read(connection, 1), ['again']);
  await connection.close();
});

function hasNetworks(): boolean {
  const name = `rp${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', name]).status === 0;
  if (made) spawnSync('ip', ['netns', 'del', name]);
  return made;
}

const NO_MOSQUITTO = HAS_MOSQUITTO ? false : 'mosquitto is not installed';

/** A hop at a port of its own, which leads to `url`. @returns the address */
async function startHop(t: TestContext, url: string): Promise<string> {
  const hop = spawn(process.execPath, [MAIN, 'connect', '--listen', '127.0.0.1:0', '--protocol', 'mqtt', url], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(async () => {
    const exited = once(hop, 'exit');
    hop.kill('SIGTERM');
    await exited;
  });
  const [line] = (await once(createInterface({ input: hop.stderr }), 'line')) as [string];
  return line.slice(line.lastIndexOf(' ') + 1);
}

/** 200 messages by way of a broker, each confirmed, from a client that speaks TCP only. */
async function talkMqtt(address: string): Promise<void> {
  const client = await mqtt.connectAsync(`mqtt://${address}`);
  const got: string[] = [];
  client.on('message', (_topic, payload) => got.push(payload.toString()));
  await client.subscribeAsync('sensors/#', { qos: 1 });
  for (let at = 0; at < 200; at++) await client.publishAsync('sensors/one', `${at}`, { qos: 1 });
  await until(() => got.length === 200, 'every message');
  await client.endAsync();
  assert.deepEqual(
    got,
    Array.from({ length: 200 }, (_, at) => `${at}`),
  );
}

test('MQTT through the command and a gateway to mosquitto', { skip: NO_MOSQUITTO }, async (t) => {
  const broker = await startMosquitto(t);
  const gateway = await startGateway(t, {
    config: `[[listen]]
address = "127.0.0.1:0"
[stream."/mqtt"]
connect = "tcp://127.0.0.1:${broker.port}"
framing = "raw"
subprotocols = ["mqtt"]
`,
  });
  await talkMqtt(await startHop(t, `ws://127.0.0.1:${gateway.port}/mqtt`));
});

test("MQTT through the command to mosquitto's own WebSocket", { skip: NO_MOSQUITTO }, async (t) => {
  const broker = await startMosquitto(t);
  await talkMqtt(await startHop(t, `ws://127.0.0.1:${broker.webSocketPort}/mqtt`));
});

const LWS = '/usr/bin/libwebsockets-test-server';

test('the test server of libwebsockets: what it counts, and what it gives back', {
  skip: existsSync(LWS) ? false : 'libwebsockets-test-server is not installed',
}, async (t) => {
  const port = await freePort();
  const server = spawn(LWS, ['-p', String(port), '-i', 'lo'], { stdio: 'ignore' });
  t.after(async () => {
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  });
  const url = `ws://127.0.0.1:${port}/`;
  // It does not say when it listens.
  const options = { protocols: ['dumb-increment-protocol'], maxDelay: 50 };
  const counter = await connect(url, { ...options, reconnect: true, resume: false });
  assert.equal(counter.facts.protocol, 'dumb-increment-protocol');
  assert.deepEqual(await read(counter, 3), ['0', '1', '2']);
  assert.equal((await counter.close()).code, 1000);
  const mirror = await connect(url, { protocols: ['lws-mirror-protocol'] });
  await write(mirror, 'd #aabbcc 1 2 3 4;');
  assert.deepEqual(String((await read(mirror, 1))[0]), 'd #aabbcc 1 2 3 4;');
  await mirror.close();
  assert.equal((await failureOf(connect(url, { protocols: ['none-that-it-has'] }))).failure, 'lost');
});
