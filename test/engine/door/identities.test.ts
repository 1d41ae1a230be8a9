/** Who a client is, as a program, the log and the limits have it: its port over plain HTTP, its address over IPv6, the same by both engines and over TLS. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { Authority } from '../../support/certificates.ts';
import { type Running, startGateway } from '../../support/gateway.ts';
import { RawClient } from '../../support/raw.ts';
import { markSecure } from '../../support/secure.ts';
import { until } from '../../support/until.ts';

/** Runs long enough for all to be there at one time. */
const WHO =
  '#!/bin/sh\nsleep 0.2\nprintf "Content-Type: text/plain\\n\\n"; printf "%s %s %s" "$REMOTE_ADDR" "[$REMOTE_PORT]" "[$SERVER_ADDR]"\n';
const UNKNOWN = '[]';
const { certificate, pem } = new Authority().server(['board.test']);
const NO_IPV6 = hasIpv6() ? false : 'needs IPv6 on the loopback interface';

function hasIpv6(): boolean {
  try {
    return readFileSync('/proc/net/if_inet6', 'latin1').includes('00000000000000000000000000000001');
  } catch {
    return false;
  }
}

async function start(t: TestContext, listeners: readonly string[], more = ''): Promise<Running> {
  return await startGateway(t, {
    config: `${listeners.map((lines) => `[[listen]]\n${lines}\n`).join('')}[cgi."/who"]\ncommand = ["./who.cgi"]\nmax_processes = 100\n${more}`,
    files: { 'who.cgi': WHO, 'board.pem': certificate, 'board.key': pem },
  });
}

const request = (version: string): string =>
  `GET /who HTTP/${version}\r\nHost: board.test\r\nConnection: keep-alive\r\n\r\n`;

describe("the client's port, as a CGI program sees it", { concurrency: true }, () => {
  // Up to 8 of an address are known by their ports at a time.
  for (const [count, least] of [
    [8, 8],
    [40, 0],
  ] as const)
    test(`${count} connections at once, three requests on each: the right one${least < count ? ', or none' : ''}`, async (t) => {
      const { port } = await start(t, ['address = "127.0.0.1:0"'], '[connections]\nmax_per_address = 1000\n');
      for (let round = 0; round < 2; round++) {
        const clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(port)));
        for (let times = 0; times < 3; times++) {
          for (const client of clients) client.send(request('1.1'));
          const told = await Promise.all(clients.map(async (client) => (await client.reply()).body.toString()));
          const ports = told.map((line) => line.split(' ')[1]);
          for (const [at, client] of clients.entries())
            if (ports[at] !== UNKNOWN) assert.equal(ports[at], `[${client.socket.localPort}]`);
          const known = ports.filter((each) => each !== UNKNOWN).length;
          assert(known >= least, `${known} of ${count} are known: ${told.join('; ')}`);
        }
        // Some go, others take their place, so that a port that is remembered may be that of one who has left.
        for (const client of clients) client.destroy();
      }
    });

  test('connections that come and go: never the port of another', async (t) => {
    const { port } = await start(t, ['address = "127.0.0.1:0"'], '[connections]\nmax_per_address = 1000\n');
    let asked = 0;
    const visitor = async (): Promise<void> => {
      while (asked++ < 150) {
        const client = await RawClient.connect(port);
        const { localPort } = client.socket;
        const version = asked % 5 === 0 ? '1.0' : '1.1';
        for (let times = 0; times < (version === '1.0' ? 1 : 2); times++) {
          client.send(request(version));
          const [, told] = (await client.reply()).body.toString().split(' ');
          if (told !== UNKNOWN) assert.equal(told, `[${localPort}]`);
        }
        client.destroy();
      }
    };
    await Promise.all(Array.from({ length: 20 }, visitor));
  });
});

describe('IPv6', { skip: NO_IPV6, concurrency: true }, () => {
  const TLS = 'tls = { certificate = "board.pem", key = "board.key" }';

  test('addresses in their one form, by both engines, plain and over TLS', async (t) => {
    const running = await start(t, [
      'address = "[::]:0"',
      `address = "[::]:0"\n${TLS}`,
      'address = "[::]:0"\nengine = "node"',
      `address = "[::]:0"\n${TLS}\nengine = "node"`,
      'address = "[::1]:0"',
    ]);
    for (const [at, port] of running.ports.entries()) {
      markSecure(port, at === 1 || at === 3);
      // Only the last has one address, of IPv6.
      // Of TLS the hello decides, so the second one would be for an engine that does not know it.
      for (const [host, said] of [['::1', '::1'] as const, ...(at === 4 ? [] : [['127.0.0.1', '127.0.0.1'] as const])])
        for (const version of at === 1 ? ['1.1'] : ['1.1', '1.0']) {
          const lines = running.log.length;
          const client = await RawClient.connect({ host, port });
          const { localPort } = client.socket;
          client.send(request(version));
          const [address, remote, server] = (await client.reply()).body.toString().split(' ');
          client.destroy();
          assert.equal(address, said, `listener ${at}`);
          if (remote !== UNKNOWN) assert.equal(remote, `[${localPort}]`);
          if (server !== UNKNOWN) assert.equal(server, `[${said}]`);
          await until(
            () => running.log.slice(lines).some(({ client: who }) => who !== undefined),
            'the line of the request',
          );
          const logged = running.log.slice(lines).flatMap(({ client: who }) => (who === undefined ? [] : [who]));
          assert.deepEqual([...new Set(logged)], [said]);
        }
      markSecure(port, false);
    }
    assert(!JSON.stringify(running.log).includes('::ffff:'));
  });

  for (const engine of ['auto', 'node'])
    test(`${engine}: an address counts once, however it comes; another one beside it`, async (t) => {
      const running = await start(
        t,
        [`address = "[::]:0"\nengine = "${engine}"`, `address = "127.0.0.1:0"\nengine = "${engine}"`],
        '[connections]\nexempt = []\nmax_per_address = 3\n',
      );
      const [both = 0, four = 0] = running.ports;
      const connected = async (host: string, port: number): Promise<RawClient> => {
        const client = await RawClient.connect({ host, port });
        client.send(request('1.1'));
        return client;
      };
      // Two by the mapped form, one by its own: those are the three of 127.0.0.1.
      const first = [
        await connected('127.0.0.1', both),
        await connected('127.0.0.1', both),
        await connected('127.0.0.1', four),
      ];
      for (const client of first) assert.equal((await client.reply()).status, 200);
      for (const port of [both, four]) assert.equal((await (await connected('127.0.0.1', port)).reply()).status, 503);
      const others = [await connected('::1', both), await connected('::1', both), await connected('::1', both)];
      for (const client of others) assert.equal((await client.reply()).status, 200);
      assert.equal((await (await connected('::1', both)).reply()).status, 503);
      for (const client of [...first, ...others]) client.destroy();
      assert(!JSON.stringify(running.log).includes('::ffff:'));
    });

  test('what is refused is logged by the same form', async (t) => {
    const running = await start(t, ['address = "[::]:0"']);
    for (const [host, said] of [
      ['::1', '::1'],
      ['127.0.0.1', '127.0.0.1'],
    ] as const) {
      const lines = running.log.length;
      const client = await RawClient.connect({ host, port: running.port });
      client.send('nonsense\r\n\r\n');
      assert.equal((await client.reply()).status, 400);
      await until(() => running.log.slice(lines).some(({ message }) => message.startsWith('refused: ')), 'its line');
      assert.equal(running.log.slice(lines).find(({ message }) => message.startsWith('refused: '))?.['client'], said);
      client.destroy();
    }
  });
});
