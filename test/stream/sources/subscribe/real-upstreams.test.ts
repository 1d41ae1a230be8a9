/** Upstreams as they are: runnel itself, nchan, mosquitto, and a serial line behind ser2net and socat. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { codeOf } from '../../../docs/pages.ts';
import { ask, TestSocket } from '../../../support/client.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { folderWith, startGateway } from '../../../support/gateway.ts';
import { HAS_MOSQUITTO, startMosquitto } from '../../../support/mosquitto.ts';
import { NGINX } from '../../../support/nginx.ts';
import { freePort } from '../../../support/ports.ts';
import { until } from '../../../support/processes.ts';
import { LISTEN, startSubscribed } from '../../../support/subscribed.ts';

const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';
const SER2NET = '/usr/sbin/ser2net';
const SOCAT = '/usr/bin/socat';

/** Ended with the test. */
function start(t: TestContext, program: string, args: readonly string[], folder: string) {
  const child = spawn(program, args, { cwd: folder, stdio: 'pipe' });
  child.stdin.on('error', () => undefined);
  child.stderr.resume();
  const exited = once(child, 'exit');
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  });
  return child;
}

async function listens(port: number): Promise<void> {
  let isThere = false;
  await until(`somebody listens at ${port}`, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      // A port of the system's range may be given to the very connection that looks for it.
      isThere ||= socket.localPort !== port;
      socket.destroy();
    });
    socket.on('error', () => undefined);
    return isThere;
  });
}

test('another runnel, by event stream and by WebSocket, to its end', async (t) => {
  const upstream = await startGateway(t, {
    config: `${LISTEN}[stream."/up"]\ncommand = ["./say"]\nshare = "all"\nrestart = "never"\nhistory = 10\n`,
    files: { say: '#!/bin/sh\nread line\necho one\necho two\necho "got $line"\nread line\n' },
  });
  const running = await startSubscribed(t, {
    '/events': `subscribe = "${upstream.url('/up')}"\nevents = ["message"]\npost = "${upstream.url('/up')}"`,
    '/socket': `subscribe = "${upstream.url('/up').replace('http', 'ws')}"`,
  });
  const [events, socket] = await Promise.all(
    ['/events', '/socket'].map((path) => TestSocket.open(`ws://127.0.0.1:${running.port}${path}`)),
  );
  assert.equal((await ask(running.port, '/events', { method: 'POST', body: 'hello' })).status, 202);
  for (const viewer of [events, socket]) assert.deepEqual(await viewer?.first(3), ['one', 'two', 'got hello']);
  // The program ends, and with it the upstream's stream. Its event stream says so for good.
  socket?.ws.send('end');
  assert.deepEqual(await events?.closed, { code: 1000, reason: 'the source has ended the stream (204)' });
  socket?.ws.terminate();
  assert.equal(await running.stop(), 0);
  assert.equal(await upstream.stop(), 0);
});

test('nchan: an event stream that ends each second is resumed, and nothing is lost', async (t) => {
  if (!existsSync(NCHAN) || !existsSync(NGINX)) return t.skip('needs nginx with nchan');
  const port = await freePort();
  const folder = folderWith(t, {
    'nginx.conf': `load_module ${NCHAN};
daemon off;
master_process off;
error_log stderr;
pid nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${port};
    location /pub { nchan_publisher; nchan_channel_id x; nchan_message_buffer_length 100; }
    location /sub { nchan_subscriber; nchan_channel_id x; nchan_subscriber_timeout 1s; }
  }
}
`,
  });
  start(t, NGINX, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], folder);
  await listens(port);
  const running = await startSubscribed(t, {
    '/events': `subscribe = "http://127.0.0.1:${port}/sub"\npost = "http://127.0.0.1:${port}/pub"`,
    '/socket': `subscribe = "ws://127.0.0.1:${port}/sub"`,
  });
  const viewer = await EventClient.open(running.port, '/events');
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/socket`);
  const sent: string[] = [];
  const publish = async (): Promise<void> => {
    sent.push(`message ${sent.length}`);
    const { status } = await ask(running.port, '/events', { method: 'POST', body: sent.at(-1) ?? '' });
    assert.ok(status === 201 || status === 202, String(status));
  };
  await publish();
  assert.deepEqual(await viewer.first(1), sent);
  assert.deepEqual(await socket.first(1), sent);
  const since = performance.now();
  while (performance.now() - since < 3000) await publish();
  assert.deepEqual(await viewer.first(sent.length), sent);
  viewer.close();
  socket.ws.terminate();
  assert.equal(await running.stop(), 0);
});

for (const server of ['its own WebSocket', 'the WebSocket of another runnel'] as const)
  test(`mosquitto, by ${server}: the subprotocol is agreed on, packets are binary both ways`, async (t) => {
    if (!HAS_MOSQUITTO) return t.skip('needs mosquitto');
    const broker = await startMosquitto(t);
    let address = `ws://127.0.0.1:${broker.webSocketPort}/`;
    if (server !== 'its own WebSocket') {
      const upstream = await startGateway(t, {
        config: `${LISTEN}[stream."/mqtt"]\nconnect = "tcp://127.0.0.1:${broker.port}"\nframing = "raw"\nsubprotocols = ["mqtt"]\n`,
      });
      address = upstream.url('/mqtt').replace('http', 'ws');
    }
    const keys = `subscribe = "${address}"\nsubprotocols = ["mqtt"]\nping_interval = "500ms"`;
    const running = await startSubscribed(t, { '/mqtt': keys });
    const viewer = await TestSocket.open(`ws://127.0.0.1:${running.port}/mqtt?after=`, {}, ['mqtt']);
    assert.equal(viewer.ws.protocol, 'mqtt');
    const packets = (): string => viewer.messages.join('');
    let sent = 0;
    await until('it is accepted', () => {
      // CONNECT of MQTT 3.1.1, with a clean session and no name; again only where it was told that it was lost.
      const lost = viewer.messages.filter((text) => text.startsWith('event:notice\nyour message was lost')).length;
      if (lost === sent) {
        viewer.ws.send(Buffer.from('100c00044d515454040200000000', 'hex'));
        sent++;
      }
      return packets().includes('\x20\x02\0\0');
    });
    // SUBSCRIBE to "a", then PUBLISH "hi" to it.
    viewer.ws.send(Buffer.from('8206000100016100', 'hex'));
    viewer.ws.send(Buffer.from('30050001616869', 'hex'));
    await until('its own message comes back', () => packets().includes('\0\x01ahi'));
    // Quiet for several pings, which it answers; then PINGREQ and PINGRESP of its own.
    const pings = (): number => viewer.messages.filter((text) => text.startsWith('event:ping')).length;
    const before = pings();
    await until('some pings have passed', () => pings() >= before + 4);
    viewer.ws.send(Buffer.from('c000', 'hex'));
    await until('it answers', () => packets().includes('\xd0\0') || packets().includes('\ufffd\0'));
    assert.equal(
      viewer.messages.some((text) => text.startsWith('event:notice\nthe source')),
      false,
    );
    viewer.ws.terminate();
    assert.equal(await running.stop(), 0);
  });

/** A pseudo-terminal whose other end is the standard input and output of socat: the device on the line. */
async function serialLine(t: TestContext): Promise<{ path: string; device: ChildProcessWithoutNullStreams }> {
  const folder = folderWith(t, {});
  const path = join(folder, 'tty');
  const device = start(t, SOCAT, ['-', `pty,raw,echo=0,link=${path}`], folder);
  await until('there is a line', () => existsSync(path));
  return { path, device };
}

const SERVERS = ['ser2net', 'socat'] as const;
for (const server of SERVERS)
  test(`a serial line over TCP by ${server}: everybody reads, anybody writes`, async (t) => {
    if (!existsSync(SOCAT) || !existsSync(SER2NET)) return t.skip('needs socat and ser2net');
    const { path, device } = await serialLine(t);
    const port = await freePort();
    const folder = folderWith(t, {
      'ser2net.yaml': `connection: &con\n  accepter: tcp,127.0.0.1,${port}\n  connector: serialdev,${path},115200n81,local\n`,
    });
    if (server === 'ser2net') start(t, SER2NET, ['-n', '-c', join(folder, 'ser2net.yaml')], folder);
    else {
      // As the page has it, but for the speed, which a pseudo-terminal does not have.
      const line = codeOf('docs/sources.md', 'sh', { begins: 'socat ' });
      const args = /^socat (\S+) \/dev\/ttyUSB0,b115200(\S+)$/m.exec(line);
      assert.ok(args !== null);
      start(t, SOCAT, [(args[1] ?? '').replace('4001', String(port)), `${path}${args[2]}`], folder);
    }
    const keys = `subscribe = "tcp://127.0.0.1:${port}"\nhistory = 100`;
    const running = await startSubscribed(t, { '/serial': keys }, {}, '[admin]\nlisten = "127.0.0.1:0"\n');
    const [first, second] = await Promise.all([1, 2].map(() => EventClient.open(running.port, '/serial')));
    let written = '';
    device.stdout.on('data', (chunk: Buffer) => {
      written += chunk.toString();
    });
    // The line is opened by ser2net for the connection, so what was sent before may be lost.
    const said = setInterval(() => device.stdin.write('21.5 C\r\n'), 50);
    t.after(() => clearInterval(said));
    for (const viewer of [first, second]) assert.deepEqual((await viewer?.first(3))?.at(-1), '21.5 C');
    assert.equal((await ask(running.port, '/serial', { method: 'POST', body: 'led on' })).status, 202);
    await until('the device has read it', () => written.includes('led on\n'));
    first?.close();
    second?.close();
    assert.equal(await running.stop(), 0);
  });
