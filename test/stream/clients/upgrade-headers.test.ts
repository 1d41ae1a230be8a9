import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBoth } from '../../support/both-engines.ts';
import { RawClient } from '../../support/raw.ts';

const HANDSHAKE =
  'Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

test('a 101 has the header fields of its route and of [defaults], too, but none that describes a document', async (t) => {
  const running = await startBoth(t, {
    config: `
[defaults]
headers = { X-All = "defaults", X-Both = "defaults", Content-Type = "text/x-wrong", ETag = '"x"' }
[stream."/plain"]
command = ["cat"]
[stream."/own"]
command = ["cat"]
headers = { X-Both = "route", X-Name = "cafe", Sec-WebSocket-Extensions = "nonsense", Content-Security-Policy = "default-src 'self'" }
`,
  });
  for (const [engine, port] of running.engines) {
    const fields = async (path: string): Promise<{ readonly [name: string]: string | undefined }> => {
      const client = await RawClient.connect(port);
      client.send(`GET ${path} HTTP/1.1\r\n${HANDSHAKE}`);
      const reply = await client.reply();
      client.destroy();
      assert.equal(reply.status, 101, engine);
      const names = ['x-all', 'x-both', 'x-name', 'content-type', 'etag', 'sec-websocket-extensions'];
      return Object.fromEntries(
        [...names, 'content-security-policy'].map((name) => [
          name,
          reply.headers
            .filter(([own]) => own === name)
            .map(([, value]) => value)
            .join(' and ') || undefined,
        ]),
      );
    };
    const none = { 'content-type': undefined, etag: undefined, 'sec-websocket-extensions': undefined };
    const defaults = { 'x-all': 'defaults', 'x-both': 'defaults', 'x-name': undefined };
    assert.deepEqual(await fields('/plain'), { ...defaults, ...none, 'content-security-policy': undefined }, engine);
    assert.deepEqual(
      await fields('/own'),
      {
        'x-all': 'defaults',
        'x-both': 'route',
        'x-name': 'cafe',
        ...none,
        'content-security-policy': "default-src 'self'",
      },
      engine,
    );
  }
});
