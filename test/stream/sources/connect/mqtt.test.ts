/** A broker that only speaks TCP, and MQTT.js in Node and in Chromium before it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import mqtt, { type MqttClient } from 'mqtt';
import { type Browser, chromium } from 'playwright-core';
import { type Running, startGateway } from '../../../support/gateway.ts';
import { HAS_MOSQUITTO, startMosquitto } from '../../../support/mosquitto.ts';
import { until } from '../../../support/processes.ts';

const CHROMIUM = '/usr/bin/chromium';
const MQTT_JS = join(import.meta.dirname, '../../../../../node_modules/mqtt/dist/mqtt.min.js');
const MESSAGES = 10_000;
const ENGINES = ['uws', 'node'] as const;

/**
 * A gateway as in config/examples/mqtt.toml, with a broker of the test behind it. MQTT.js in a browser puts everything that waits into one
 * WebSocket message, hence the large ones.
 */
async function site(t: TestContext, engine: string): Promise<Running> {
  const broker = await startMosquitto(t);
  const route = (path: string, connect: string): string =>
    `[stream."${path}"]\nconnect = "${connect}"\nframing = "raw"\nmax_message = "1MiB"\nmax_queue = "2MiB"\nsubprotocols = ["mqtt", "mqttv3.1"]\n`;
  return await startGateway(t, {
    config: `[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[static."/"]
root = "www"
${route('/mqtt', `tcp://127.0.0.1:${broker.port}`)}
${route('/local', `unix:${broker.socket}`)}
`,
    files: { 'www/index.html': '<script src="mqtt.js"></script>', 'www/mqtt.js': readFileSync(MQTT_JS) },
  });
}

describe('MQTT.js in Node', { skip: HAS_MOSQUITTO ? false : 'needs mosquitto' }, () => {
  const ways = [
    ['uws', '/mqtt'],
    ['node', '/mqtt'],
    ['uws', '/local'],
  ] as const;
  for (const [engine, path] of ways)
    test(`${path} over ${engine}`, async (t) => {
      const running = await site(t, engine);
      const client = await connected(t, running, path, {});
      await client.subscribeAsync('numbers', { qos: 1 });
      const received: string[] = [];
      client.on('message', (_topic, payload) => received.push(String(payload)));
      // Each is acknowledged by the broker.
      await Promise.all(
        Array.from({ length: MESSAGES }, (_, at) => client.publishAsync('numbers', `message ${at}`, { qos: 1 })),
      );
      await until('every message is back', () => received.length >= MESSAGES);
      assert.deepEqual(
        received,
        Array.from({ length: MESSAGES }, (_, at) => `message ${at}`),
      );
      await client.endAsync();
    });

  test('versions, and a packet that comes in many pieces', async (t) => {
    const running = await site(t, 'node');
    const versions = [
      [5, 'MQTT', 'mqtt'],
      [4, 'MQTT', 'mqtt'],
      [3, 'MQIsdp', 'mqttv3.1'],
    ] as const;
    for (const [protocolVersion, protocolId] of versions) {
      const client = await connected(t, running, '/mqtt', { protocolVersion, protocolId });
      await client.subscribeAsync('large');
      let received = 0;
      client.on('message', (_topic, payload) => {
        received = payload.length;
      });
      await client.publishAsync('large', Buffer.alloc(60_000));
      await until('the packet is back', () => received === 60_000);
      await client.endAsync();
    }
  });

  test('an idle time that only keep-alive survives', async (t) => {
    const running = await site(t, 'node');
    const client = await connected(t, running, '/mqtt', { keepalive: 3 });
    let answers = 0;
    client.on('packetreceive', (packet) => {
      if (packet.cmd === 'pingresp') answers++;
    });
    // The broker ends a connection that is quiet for one and a half times its keep-alive. A shorter one would be a race on a busy machine.
    await until('two pings are answered', () => answers >= 2);
    assert.equal(client.connected, true);
    await client.endAsync();
  });

  test('the broker ends a connection: the client is told with 1000', async (t) => {
    const running = await site(t, 'uws');
    const first = await connected(t, running, '/mqtt', { clientId: 'same' });
    const closed = new Promise((resolve) => first.on('close', () => resolve(true)));
    await connected(t, running, '/mqtt', { clientId: 'same' });
    assert.equal(await closed, true);
    await running.logged((line) => line.message === 'GET /mqtt' && line['code'] === 1000);
  });
});

async function connected(
  t: TestContext,
  running: Running,
  path: string,
  options: mqtt.IClientOptions,
): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`ws://127.0.0.1:${running.port}${path}`, { reconnectPeriod: 0, ...options });
  client.on('error', () => undefined);
  t.after(() => client.end(true));
  return client;
}

const browserSkip = !HAS_MOSQUITTO ? 'needs mosquitto' : existsSync(CHROMIUM) ? false : 'needs chromium';

describe('MQTT.js in a browser', { skip: browserSkip }, () => {
  let browser: Browser | undefined;
  before(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
    });
  });
  after(async () => await browser?.close());

  for (const engine of ENGINES)
    test(`over ${engine}`, async (t) => {
      const running = await site(t, engine);
      assert(browser !== undefined);
      const page = await browser.newPage();
      t.after(() => page.close());
      await page.goto(running.url('/'));
      // What runs in the page is text, because only a browser has these words.
      const result = await page.evaluate(`(async () => {
        const client = await mqtt.connectAsync('ws://' + location.host + '/mqtt', { keepalive: 3, reconnectPeriod: 0 });
        await client.subscribeAsync('numbers', { qos: 1 });
        const received = [];
        const all = new Promise((resolve) => client.on('message', (topic, payload) => {
          received.push(payload.toString());
          if (received.length === ${MESSAGES}) resolve();
        }));
        for (let at = 0; at < ${MESSAGES}; at++) client.publish('numbers', 'message ' + at, { qos: 1 });
        await all;
        let answers = 0;
        await new Promise((resolve, reject) => {
          client.on('packetreceive', (packet) => { if (packet.cmd === 'pingresp' && ++answers === 2) resolve(); });
          client.on('close', () => reject(new Error('closed')));
        });
        const isInOrder = received.every((text, at) => text === 'message ' + at);
        const { protocol } = client.stream.socket ?? {};
        client.removeAllListeners('close');
        await client.endAsync();
        return { count: received.length, isInOrder, answers, protocol };
      })()`);
      assert.deepEqual(result, { count: MESSAGES, isInOrder: true, answers: 2, protocol: 'mqtt' });
    });
});
