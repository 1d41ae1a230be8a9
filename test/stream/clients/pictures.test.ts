/** Streams of pictures, to those who only show them: parts for an `<img>`, the last one alone, and each viewer at its own pace. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { CAMERAS, startCamera } from '../../support/cameras.ts';
import { ask, TestSocket } from '../../support/client.ts';
import { startGateway } from '../../support/gateway.ts';
import { picture } from '../../support/jpeg.ts';
import { PartsViewer } from '../../support/parts.ts';
import { startPictureSource } from '../../support/picture-source.ts';
import { until } from '../../support/processes.ts';

const IMG = 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8';
const RED = picture([255, 0, 0]);
const GREEN = picture([0, 255, 0], { padding: 5000 });
const BLUE = picture([0, 0, 255]);

for (const engine of ['uws', 'node']) {
  const listen = `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`;
  const stream = (port: number, keys = ''): string =>
    `${listen}[stream."/cam"]\nsubscribe = "tcp://127.0.0.1:${port}"\nframing = "jpeg"\nrestart_delay = "10ms"\n${keys}`;

  test(`an <img> gets parts, a WebSocket binary messages (${engine})`, async (t) => {
    const source = await startPictureSource(t);
    const running = await startGateway(t, { config: stream(source.port) });
    const viewer = await PartsViewer.open(running.port, '/cam', { accept: IMG });
    const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/cam`);
    assert.match(viewer.type, /^multipart\/x-mixed-replace; boundary=runnel-[0-9a-f]{24}$/);
    await until('the source', () => source.sockets.size > 0);
    source.say(RED);
    // Whole with the boundary behind it, although no other has come.
    assert.deepEqual(await viewer.next(), { type: 'image/jpeg', data: RED });
    source.say(Buffer.concat([GREEN, BLUE]));
    // Red may come twice: where none follows, browsers show the last one only then.
    let part = await viewer.next();
    while (part.data.equals(RED)) part = await viewer.next();
    assert.deepEqual(
      [part, await viewer.next()],
      [GREEN, BLUE].map((data) => ({ type: 'image/jpeg', data })),
    );
    await socket.first(3);
    assert.deepEqual(socket.messages, [RED, GREEN, BLUE].map(String));
    // Whoever comes later sees the last one at once.
    const late = await PartsViewer.open(running.port, '/cam?transport=parts');
    assert.deepEqual((await late.next()).data, BLUE);
    const events = await PartsViewer.open(running.port, '/cam', { 'sec-fetch-dest': 'image' });
    assert.deepEqual((await events.next()).data, BLUE);
    for (const each of [viewer, late, events]) each.close();
    socket.ws.close();
    assert.equal(await running.stop(), 0);
  });

  test(`the last picture alone (${engine})`, async (t) => {
    const source = await startPictureSource(t);
    const running = await startGateway(t, { config: stream(source.port) });
    const waiting = ask(running.port, '/cam?transport=last');
    await until('the source', () => source.sockets.size > 0);
    source.say(RED);
    const first = await waiting;
    assert.deepEqual([first.status, first.headers['content-type']], [200, 'image/jpeg']);
    assert.equal(first.headers['content-length'], String(RED.length));
    const { etag = '', 'last-event-id': id } = first.headers;
    assert.equal(etag, `"${String(id)}"`);
    const known = { headers: { 'if-none-match': String(etag) } };
    for (const tags of [String(etag), `"other", W/${String(etag)}`, '*'])
      assert.equal(
        (await ask(running.port, '/cam?transport=last', { headers: { 'if-none-match': tags } })).status,
        304,
      );
    const head = await ask(running.port, '/cam?transport=last', { method: 'HEAD' });
    assert.deepEqual(
      [head.status, head.headers['content-length'], head.headers['etag']],
      [200, String(RED.length), etag],
    );
    source.say(BLUE);
    await until('the second', async () => (await ask(running.port, '/cam?transport=last', known)).status === 200);
    assert.deepEqual(await bodyOf(running.port, '/cam?transport=last'), BLUE);
    assert.equal((await ask(running.port, '/cam', { method: 'POST', body: 'x' })).status, 405);
    assert.equal(await running.stop(), 0);
  });

  test(`who does not read gets the newest then, and is not waited for (${engine})`, async (t) => {
    const source = await startPictureSource(t);
    const running = await startGateway(t, {
      config: `${stream(source.port)}[admin]\nlisten = "127.0.0.1:0"\n`,
    });
    const slow = await PartsViewer.open(running.port, '/cam', { accept: IMG });
    const quick = await TestSocket.open(`ws://127.0.0.1:${running.port}/cam`);
    await until('the source', () => source.sockets.size > 0);
    source.say(RED);
    assert.deepEqual((await slow.next()).data, RED);
    slow.pause();
    const pictures = Array.from({ length: 60 }, (_, at) => picture([at, 0, 0], { padding: 200_000 }));
    for (const [at, each] of pictures.entries()) {
      source.say(each);
      await until(`picture ${at}`, () => quick.messages.length === at + 2);
    }
    slow.resume();
    const seen: number[] = [];
    while (seen.at(-1) !== pictures.length - 1) {
      const { data } = await slow.next();
      const at = pictures.findIndex((each) => each.equals(data));
      assert.ok(data.equals(RED) || at >= 0, 'each part is a whole picture');
      if (at >= 0) seen.push(at);
    }
    assert.ok(seen.length < pictures.length / 2, `${seen.length} came`);
    const metrics = (await ask(running.ports[1] ?? 0, '/metrics')).body;
    assert.match(metrics, /runnel_dropped_total\{route="[^"]*\/cam",reason="client_too_slow"\} [1-9]/);
    assert.match(metrics, /transport="parts"\} 1\n/);
    slow.close();
    quick.ws.terminate();
    assert.equal(await running.stop(), 0);
  });

  test(`of a program: one for each viewer, and what is none is counted (${engine})`, async (t) => {
    const running = await startGateway(t, {
      config: `${listen}[stream."/x"]\ncommand = ["sh", "-c", "printf garbage; cat red.jpg large.jpg blue.jpg; exec sleep 1000"]\nframing = "jpeg"\nmax_message = "4KiB"\n[admin]\nlisten = "127.0.0.1:0"\n`,
      files: { 'red.jpg': RED, 'large.jpg': GREEN, 'blue.jpg': BLUE },
    });
    const viewer = await PartsViewer.open(running.port, '/x', { accept: IMG });
    assert.deepEqual([(await viewer.next()).data, (await viewer.next()).data], [RED, BLUE]);
    const metrics = (await ask(running.ports[1] ?? 0, '/metrics')).body;
    for (const reason of ['too_large', 'not_a_picture'])
      assert.match(metrics, new RegExp(`runnel_dropped_total\\{route="[^"]*/x",reason="${reason}"\\} 1\\n`));
    const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/x`);
    socket.ws.send(RED);
    assert.deepEqual(await socket.closed, { code: 1008, reason: 'this stream is read-only' });
    assert.equal((await ask(running.port, '/x?transport=last')).status, 400);
    viewer.close();
    assert.equal(await running.stop(), 0);
  });
}

test('the last message of any shared stream, of text too; none so far, and a source that is away', async (t) => {
  const running = await startGateway(t, {
    config: `[[listen]]
address = "127.0.0.1:0"
[stream."/text"]
command = ["sh", "-c", "printf 'one\\\\ntwo\\\\n'; exec sleep 1000"]
share = "all"
[stream."/silent"]
command = ["sleep", "1000"]
share = "all"
[stream."/away"]
subscribe = "tcp://127.0.0.1:1"
`,
  });
  const soon = { headers: { prefer: 'wait=0' } };
  await until('two', async () => (await ask(running.port, '/text?transport=last')).body === 'two');
  const { headers } = await ask(running.port, '/text?transport=last');
  assert.deepEqual(
    [headers['content-type'], headers['x-content-type-options']],
    ['text/plain; charset=utf-8', 'nosniff'],
  );
  assert.equal((await ask(running.port, '/silent?transport=last', soon)).status, 204);
  await until('503', async () => (await ask(running.port, '/away?transport=last', soon)).status === 503);
  assert.match((await ask(running.port, '/away?transport=last', soon)).body, /^the source of this stream fails: /);
  const parts = await PartsViewer.open(running.port, '/text?transport=parts&after=');
  parts.close();
  assert.equal(await running.stop(), 0);
});

test('the parts of a camera go on as parts, and the newest one to whoever comes', async (t) => {
  const pictures = [RED, GREEN, picture([1, 1, 1], { padding: 300_000 })];
  const [habits] = CAMERAS.values();
  assert.ok(habits);
  const port = await startCamera(t, habits, pictures, 30_000);
  const running = await startGateway(t, {
    config: `[[listen]]\naddress = "127.0.0.1:0"\n[stream."/cam"]\nsubscribe = "http://127.0.0.1:${port}/video"\nstart = "boot"\n`,
  });
  await until('the last', async () => pictures[2]?.equals(await bodyOf(running.port, '/cam?transport=last')) ?? false);
  assert.equal((await ask(running.port, '/cam?transport=last')).headers['content-type'], 'image/jpeg');
  const viewer = await PartsViewer.open(running.port, '/cam', { accept: IMG });
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/cam`);
  viewer.close();
  socket.ws.terminate();
  assert.equal(await running.stop(), 0);
});

/** As bytes. */
async function bodyOf(port: number, path: string): Promise<Buffer> {
  const asked = request({ host: '127.0.0.1', port, path });
  asked.end();
  const [response] = await once(asked, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks);
}
