/** `read_only` and `max_clients`, over every transport and on both engines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, refused, TestSocket } from '../support/client.ts';
import { EventClient } from '../support/event-stream.ts';
import { startGateway } from '../support/gateway.ts';

for (const engine of ['uws', 'node']) {
  const listen = `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`;

  for (const share of ['client', 'all'])
    test(`read_only, share = "${share}": nobody's message reaches the program (${engine})`, async (t) => {
      const running = await startGateway(t, {
        config: `${listen}[stream."/x"]\ncommand = ["sh", "-c", "echo up; cat"]\nread_only = true\nshare = "${share}"\n${share === 'all' ? 'history = 5\n' : ''}`,
      });
      const [text, binary, watching] = await Promise.all(
        [1, 2, 3].map(() => TestSocket.open(`ws://127.0.0.1:${running.port}/x`)),
      );
      for (const socket of [text, binary, watching]) await socket?.first(1);
      text?.ws.send('x');
      text?.ws.send('y');
      binary?.ws.send(Buffer.from('x'));
      const readOnly = { code: 1008, reason: 'this stream is read-only' };
      assert.deepEqual([await text?.closed, await binary?.closed], [readOnly, readOnly]);
      const posted = await ask(running.port, '/x', { method: 'POST', body: 'x' });
      assert.deepEqual([posted.status, posted.headers['allow']], [405, 'GET, HEAD, OPTIONS']);
      const events = await EventClient.open(running.port, '/x');
      assert.equal(watching?.ws.readyState, 1);
      assert.deepEqual(watching?.messages, ['up']);
      events.close();
    });

  test(`max_clients counts every transport, and gives each place back (${engine})`, async (t) => {
    const running = await startGateway(t, {
      config: `${listen}[stream."/x"]\ncommand = ["cat"]\nshare = "all"\nmax_clients = 2\n`,
    });
    const url = `ws://127.0.0.1:${running.port}/x`;
    const { cursor } = JSON.parse((await ask(running.port, '/x?transport=poll')).body) as { cursor: string };
    for (let round = 0; round < 5; round++) {
      const socket = await opened(() => TestSocket.open(url));
      const events = await opened(() => EventClient.open(running.port, '/x'));
      assert.equal((await refused(url)).status, 503);
      assert.equal((await ask(running.port, '/x')).status, 503);
      assert.equal((await ask(running.port, `/x?transport=poll&cursor=${cursor}`)).status, 503);
      assert.equal((await ask(running.port, '/x', { method: 'HEAD' })).status, 200, 'HEAD is no client');
      if (round % 2 === 0) socket.ws.terminate();
      else socket.ws.close();
      events.close();
      await socket.closed;
    }
    // One that waits for the next message, and is answered by it.
    const socket = await opened(() => TestSocket.open(url));
    const poll = await opened(async () => {
      const waiting = ask(running.port, `/x?transport=poll&cursor=${cursor}`);
      const first = await Promise.race([waiting, isFull(url)]);
      if (first !== 'full') throw new Error("the place is still another client's");
      return { waiting };
    });
    socket.ws.send('news');
    assert.match((await poll.waiting).body, /news/);
    (await opened(() => TestSocket.open(url))).ws.close();
  });

  test(`max_clients, share = "client": one that is refused starts no program (${engine})`, async (t) => {
    const running = await startGateway(t, {
      config: `${listen}[stream."/x"]\ncommand = ["sh", "-c", "echo $$ >>started; cat"]\nmax_clients = 1\n`,
    });
    const url = `ws://127.0.0.1:${running.port}/x`;
    const socket = await TestSocket.open(url);
    for (let round = 0; round < 3; round++) assert.equal((await refused(url)).status, 503);
    socket.ws.close();
    await socket.closed;
    await opened(() => TestSocket.open(url));
  });
}

/** As soon as there is a place. */
async function opened<T>(open: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await open();
    } catch {
      await new Promise(setImmediate);
    }
  }
}

async function isFull(url: string): Promise<'full'> {
  for (;;) {
    const socket = await TestSocket.open(url).catch(() => undefined);
    if (socket === undefined) return 'full';
    socket.ws.terminate();
    await socket.closed;
  }
}
