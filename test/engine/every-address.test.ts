/** ":8080" where the kernel has no IPv6: an engine that says what such a system says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenEverywhere } from '../../src/engine/door/listening.ts';
import {
  type Engine,
  type EngineEvents,
  ListenError,
  type Listening,
  type ListenOptions,
} from '../../src/engine/engine.ts';

/** Refuses "::" with this code. */
function engineWithout(code: string, asked: string[]): Engine {
  return {
    name: 'node',
    async listen({ name, address }) {
      const host = address.kind === 'tcp' ? address.host : address.kind;
      asked.push(host);
      if (host !== '0.0.0.0') throw new ListenError(name, code, 'refused');
      return { name } as Listening;
    },
  };
}

async function listen(code: string, address: ListenOptions['address']) {
  const asked: string[] = [];
  const said: string[] = [];
  const options = { name: ':8080', address } as ListenOptions;
  const events = {} as EngineEvents;
  const listening = await listenEverywhere(engineWithout(code, asked), options, events, undefined, (text) =>
    said.push(text),
  ).catch((error: unknown) => error);
  return { asked, said, refused: listening instanceof ListenError ? listening.code : undefined };
}

const EVERY = { kind: 'tcp', host: '::', port: 8080 } as const;

for (const code of ['EAFNOSUPPORT', 'EADDRNOTAVAIL'])
  test(`every address is every IPv4 address after ${code}, and the log says so`, async () => {
    assert.deepEqual(await listen(code, EVERY), {
      asked: ['::', '0.0.0.0'],
      said: ['this system has no IPv6: ":8080" listens on 0.0.0.0, which is every IPv4 address'],
      refused: undefined,
    });
  });

test('another reason is no reason for another address, and no other address is exchanged', async () => {
  assert.deepEqual(await listen('EADDRINUSE', EVERY), { asked: ['::'], said: [], refused: 'EADDRINUSE' });
  for (const host of ['::1', '192.0.2.1'])
    assert.deepEqual(await listen('EADDRNOTAVAIL', { ...EVERY, host }), {
      asked: [host],
      said: [],
      refused: 'EADDRNOTAVAIL',
    });
});
