/** Upstreams that are away for long, that stop without a word, or whose network does: it costs little, is told once, and ends when they are back. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { EventClient } from '../../../support/event-stream.ts';
import { startGateway } from '../../../support/gateway.ts';
import { freePort } from '../../../support/ports.ts';
import { descriptorsOf, memoryOf, until } from '../../../support/processes.ts';
import { BACK, failing, LISTEN, startSubscribed } from '../../../support/subscribed.ts';

const REFUSED = failing('nothing listens there');

test('10,000 refused connects: nothing grows, and each stream says it once', async (t) => {
  const STREAMS = 50;
  const port = await freePort();
  const addresses = ['http', 'ws', 'tcp'].map((scheme) => `${scheme}://127.0.0.1:${port}`);
  const tables = Array.from(
    { length: STREAMS },
    (_, at) =>
      `[stream."/${at}"]\nsubscribe = "${addresses[at % 3]}"\nstart = "boot"\nrestart_delay = "10ms"\nrestart_delay_max = "10ms"\n`,
  );
  const running = await startGateway(t, { config: `${LISTEN}${tables.join('')}[admin]\nlisten = "127.0.0.1:0"\n` });
  const refused = async (): Promise<number> => {
    const metrics = await (await fetch(`http://127.0.0.1:${running.ports.at(-1)}/metrics`)).text();
    const counts = metrics.matchAll(/^runnel_connects_total\{[^}]*outcome="refused"\} (\d+)$/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  const viewer = await EventClient.open(running.port, '/0');
  await until('it has warmed up', async () => (await refused()) > 5000);
  const before = { memory: memoryOf(running.pid, 'RssAnon'), descriptors: descriptorsOf(running.pid).length };
  await until('so many were refused', async () => (await refused()) > 10_000);
  const grown = memoryOf(running.pid, 'RssAnon') - before.memory;
  assert.ok(grown < 24 << 10, `${grown} KiB more`);
  const descriptors = descriptorsOf(running.pid).length - before.descriptors;
  assert.ok(descriptors <= STREAMS, `${descriptors} descriptors more`);
  assert.deepEqual(viewer.all('notice'), [REFUSED]);
  assert.equal(running.log.filter(({ message }) => message === 'a subscribed source fails').length, STREAMS);
  viewer.close();
  assert.equal(await running.stop(), 0);
});

test('who is refused is asked less and less often', async (t) => {
  const port = await freePort();
  const running = await startGateway(t, {
    config: `${LISTEN}[log]\nlevel = "debug"\n[stream."/x"]\nsubscribe = "tcp://127.0.0.1:${port}"\nstart = "boot"\nrestart_delay = "10ms"\nrestart_delay_max = "1h"\n`,
  });
  const waits = (): readonly number[] =>
    running.log.filter(({ message }) => message === 'a subscribed source fails').map(({ ms }) => Number(ms));
  await until('it was tried some times', () => waits().length >= 6);
  // Twice as long each time, less a quarter by chance.
  for (const [at, wait] of waits().entries())
    assert.ok(wait <= 10 * 2 ** at && wait >= 7 * 2 ** at, `${at}: ${wait} ms`);
  assert.equal(await running.stop(), 0);
});

/** Says a line, an event or a message ten times a second to whoever comes, and its port first. */
const TALKER = `
const { createHash } = require('node:crypto');
const server = require('node:net').createServer((socket) => {
  socket.on('error', () => {});
  let say = (text) => text + '\\n';
  const timer = setInterval(() => socket.write(say('tick')), 100);
  socket.on('close', () => clearInterval(timer));
  socket.on('data', (data) => {
    const text = data.toString('latin1');
    const key = /^sec-websocket-key: (.*)\\r$/im.exec(text);
    if (key) {
      const accept = createHash('sha1').update(key[1] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
      say = (text) => Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]);
      socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n');
    } else if (text.startsWith('GET ')) {
      say = (text) => 'data: ' + text + '\\n\\n';
      socket.write('HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n\\r\\n');
    }
  });
  if (process.argv[2] === 'http') clearInterval(timer), socket.once('data', () => {
    const timer = setInterval(() => socket.write(say('tick')), 100);
    socket.on('close', () => clearInterval(timer));
  });
});
server.listen(0, process.argv[1], () => console.log(server.address().port));
`;

interface Talker {
  readonly child: ChildProcess;
  readonly port: number;
}

/** @param launcher what starts it elsewhere */
async function startTalker(
  t: TestContext,
  speaks: 'http' | 'bytes',
  host = '127.0.0.1',
  launcher: readonly string[] = [],
): Promise<Talker> {
  const [program = '', ...args] = [...launcher, process.execPath, '-e', TALKER, host, speaks];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, port: Number(line) };
}

for (const scheme of ['http', 'ws', 'tcp'] as const)
  test(`an upstream that is stopped and goes on later, by ${scheme}`, async (t) => {
    const { child, port } = await startTalker(t, scheme === 'tcp' ? 'bytes' : 'http');
    const keys = scheme === 'ws' ? 'ping_interval = "300ms"\nsilence_timeout = "2s"' : 'silence_timeout = "2s"';
    const running = await startSubscribed(t, { '/x': `subscribe = "${scheme}://127.0.0.1:${port}"\n${keys}` });
    const viewer = await EventClient.open(running.port, '/x');
    assert.deepEqual(await viewer.first(2), ['tick', 'tick']);
    child.kill('SIGSTOP');
    const [why = ''] = await viewer.first(1, 'notice');
    assert.match(why, /nothing came for 2 s|it does not answer pings/);
    // The kernel goes on taking connections for it, so that each has to be given up.
    await until('it has been tried again', () => connectionsTo(port) > 0);
    const has = viewer.all().length;
    child.kill('SIGCONT');
    await until('it says more', () => viewer.all().length > has + 3);
    assert.deepEqual(viewer.all('notice'), [why, BACK]);
    viewer.close();
    assert.equal(await running.stop(), 0);
  });

/** Connections whose other end has this port. */
function connectionsTo(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .filter((line) => line.split(/\s+/)[3]?.endsWith(`:${hex}`)).length;
}

test('a network that goes away without a word and comes back', async (t) => {
  const name = `rs${process.pid}`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return t.skip('needs to make network namespaces (root)');
  t.after(() => spawnSync('ip', ['netns', 'del', name]));
  const ip = (...args: string[]): void => {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    assert.equal(status, 0, `ip ${args.join(' ')}: ${stderr}`);
  };
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  ip('addr', 'add', '198.18.78.1/30', 'dev', name);
  ip('link', 'set', name, 'up');
  ip('-n', name, 'addr', 'add', '198.18.78.2/30', 'dev', 'eth0');
  ip('-n', name, 'link', 'set', 'eth0', 'up');
  const { port } = await startTalker(t, 'http', '198.18.78.2', ['ip', 'netns', 'exec', name]);
  const keys = 'silence_timeout = "2s"\nconnect_timeout = "1s"';
  const running = await startSubscribed(t, {
    '/events': `subscribe = "http://198.18.78.2:${port}"\n${keys}`,
    '/socket': `subscribe = "ws://198.18.78.2:${port}"\n${keys}\nping_interval = "300ms"`,
  });
  const viewers = await Promise.all(['/events', '/socket'].map((path) => EventClient.open(running.port, path)));
  for (const viewer of viewers) assert.deepEqual(await viewer.first(2), ['tick', 'tick']);
  ip('-n', name, 'link', 'set', 'eth0', 'down');
  for (const viewer of viewers)
    assert.match((await viewer.first(1, 'notice'))[0] ?? '', /nothing came for 2 s|it does not answer pings/);
  ip('-n', name, 'link', 'set', 'eth0', 'up');
  for (const viewer of viewers) {
    assert.equal((await viewer.first(2, 'notice'))[1], BACK);
    viewer.close();
  }
  assert.equal(await running.stop(), 0);
});
