/** A configuration full of secrets: none of them is on the page, in the data, in its stream, in `runnel status` or in an error. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ask, TestSocket } from '../../support/client.ts';
import { runnel, startGateway } from '../../support/gateway.ts';
import { freePort } from '../../support/ports.ts';

/** Each in a place of its own. Everything that is a secret has this in it. */
const SECRET = 'hunter';
const DIGEST = 'd'.repeat(64);

test('no secret is shown', async (t) => {
  const upstream = createServer((_request, response) => {
    response.statusCode = 500;
    response.end();
  });
  await new Promise<void>((listening) => upstream.listen(0, '127.0.0.1', listening));
  t.after(() => upstream.close());
  const behind = `127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const admin = await freePort();
  const running = await startGateway(t, {
    config: `
[[listen]]
address = "127.0.0.1:0"
[defaults]
headers = { "X-Secret" = "${SECRET}-header" }
[static."/"]
root = "www"
[cgi."/cgi/"]
root = "cgi"
env = { API_KEY = "${SECRET}-env" }
[stream."/argument"]
command = ["sh", "-c", "echo up; exec cat", "${SECRET}-argument"]
share = "all"
env = { API_KEY = "${SECRET}-env" }
[stream."/query"]
command = ["cat"]
share = "query"
[stream."/polled"]
poll = "http://${behind}/data?token=${SECRET}-url"
interval = "100ms"
request_headers = { X-Key = "${SECRET}-upstream" }
[proxy."/proxy/"]
upstream = "http://${behind}"
request_headers = { X-Key = "${SECRET}-upstream" }
[static."/locked/"]
root = "www"
auth = { basic = "passwords", tokens = "tokens" }
[admin]
listen = "127.0.0.1:${admin}"
actions = true
`,
    files: {
      'www/index.html': 'hello',
      passwords: `me:$2b$04$${'a'.repeat(53)}\n`,
      tokens: `me:${DIGEST}\n`,
      'cgi/fails': '#!/bin/sh\nexit 1\n',
    },
    env: { RUNNEL_OWN: `${SECRET}-own` },
  });
  const at = (path: string, headers: { readonly [name: string]: string } = {}) => ask(running.port, path, { headers });
  await at(`/locked/?access_token=${SECRET}-query`);
  await at('/locked/', { authorization: `Basic ${Buffer.from(`me:${SECRET}-password`).toString('base64')}` });
  await at('/locked/', { authorization: `Bearer ${SECRET}-token`, cookie: `session=${SECRET}-cookie` });
  await at(`/cgi/fails?password=${SECRET}-form`);
  await at(`/proxy/?token=${SECRET}-form`);
  const [argument, query, polled] = await Promise.all(
    ['/argument', `/query?room=2&token=${SECRET}-channel&session=${SECRET}`, '/polled'].map((path) =>
      TestSocket.open(`ws://127.0.0.1:${running.port}${path}`),
    ),
  );
  await argument?.first(1);
  await running.logged(({ message }) => message === 'a polled source fails');

  const live = await TestSocket.open(`ws://127.0.0.1:${admin}/status/live`);
  const data = (await ask(admin, '/status.json')).body;
  const shown: readonly (readonly [string, string])[] = [
    ['page', (await ask(admin, '/')).body],
    ['data', data],
    ['stream', String((await live.first(1))[0])],
    ['metrics', (await ask(admin, '/metrics')).body],
    ['readyz', (await ask(admin, '/readyz')).body],
    ['text', (await runnel(['status', '-c', 'runnel.toml'], running.folder)).stdout],
  ];
  for (const [where, text] of shown) {
    assert.ok(text.length > 3, where);
    for (const secret of [SECRET, DIGEST, 'aaaaaaaaaaaa']) assert.ok(!text.includes(secret), `${where}: ${secret}`);
  }
  assert.ok(data.includes('?room=2&token=(hidden)'), data);
  for (const socket of [argument, query, polled, live]) socket?.ws.terminate();
});
