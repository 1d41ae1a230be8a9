/** Ids that are none of this run: of another epoch, of the future, negative, not ASCII. Whoever shows one gets what a newcomer gets, and is told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { ask, TestSocket } from '../../support/client.ts';
import { EventClient } from '../../support/event-stream.ts';
import { startGateway } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

for (const engine of ['uws', 'node'])
  test(`over ${engine}`, async (t) => {
    const { port } = await startGateway(t, {
      config: `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n[stream."/x"]\ncommand = ["sh", "-c", "seq 1 3; exec cat"]\nshare = "all"\nhistory = 10\nstart = "boot"\n`,
    });
    await until('there is a past', async () =>
      String((await ask(port, '/x', { method: 'HEAD' })).headers['last-event-id']).endsWith('-3'),
    );
    const newest = String((await ask(port, '/x', { method: 'HEAD' })).headers['last-event-id']);
    const epoch = newest.slice(0, -2);
    const ids = [
      'mabc123-2',
      `${epoch}-4`,
      `${epoch}-999999999999999999999`,
      `${epoch}--1`,
      `${epoch}-1.5`,
      `${epoch}-`,
      epoch,
      '-1',
      'é-☃-2',
      '\u0000',
      'x'.repeat(4000),
    ];
    for (const id of ids) {
      const text = encodeURIComponent(id);
      const socket = await TestSocket.open(`ws://127.0.0.1:${port}/x?after=${text}`);
      const told = await socket.first(5);
      assert.deepEqual(
        told.slice(1).map((message) => message.split('\n')),
        [['event:missed', ''], ...[1, 2, 3].map((number) => [`id:${epoch}-${number}`, `${number}`])],
        id,
      );
      socket.ws.terminate();
      for (const path of [`/x?after=${text}`, `/x?lastEventId=${text}`]) {
        const events = await EventClient.open(port, path);
        assert.deepEqual(await events.first(3), ['1', '2', '3'], id);
        assert.deepEqual(events.all('missed'), [''], id);
        events.close();
      }
      const news = JSON.parse((await ask(port, `/x?transport=poll&cursor=${text}`)).body) as {
        missed: unknown;
        messages: readonly { data: string }[];
      };
      assert.deepEqual([news.missed, news.messages.map(({ data }) => data)], [null, ['1', '2', '3']], id);
    }
    // As bytes of a header field: neither ASCII nor UTF-8.
    for (const id of ['\xff\xfe-1', 'caf\xc3\xa9-2', `${epoch}-\xb2`]) {
      const socket = connect(port, '127.0.0.1');
      let text = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk;
      });
      await once(socket, 'connect');
      socket.write(
        `GET /x HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nLast-Event-ID: ${id}\r\n\r\n`,
        'latin1',
      );
      await until('it has everything', () => text.includes('data: 3\n'));
      assert.match(text, /^HTTP\/1\.1 200 /);
      assert.match(text, /event: missed\n/);
      assert.ok(text.includes('data: 1\n'));
      socket.destroy();
    }
  });
