import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import type { BodySink, BodySource } from '../../../../src/engine/engine.ts';
import { GzipBody } from '../../../../src/http/sending/compress/gzip-body.ts';
import { until } from '../../../support/processes.ts';

/** A source that a test writes with, and that notes what is asked of it. */
class Source implements BodySource {
  readonly length = undefined;
  sink: BodySink | undefined;
  cancelled = 0;
  resumed = 0;
  start(sink: BodySink): void {
    this.sink = sink;
  }
  resume(): void {
    this.resumed++;
  }
  cancel(): void {
    this.cancelled++;
  }
}

/** A client that takes everything, or nothing until it is told to. */
class Client implements BodySink {
  readonly chunks: Buffer[] = [];
  takes = true;
  ended = 0;
  error: Error | undefined;
  write(chunk: Uint8Array): boolean {
    this.chunks.push(Buffer.from(chunk));
    return this.takes;
  }
  lend(chunk: Uint8Array): boolean {
    return this.write(chunk);
  }
  end(): void {
    this.ended++;
  }
  fail(error: Error): void {
    this.error = error;
  }
  get bytes(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0);
  }
  /** What a browser would show by now. */
  get seen(): string {
    if (this.bytes === 0) return '';
    return zlib.gunzipSync(Buffer.concat(this.chunks), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).toString();
  }
}

function flow() {
  const [source, client] = [new Source(), new Client()];
  const overs: number[] = [];
  const body = new GzipBody(zlib, source, (taken) => overs.push(taken));
  return { source, client, body, overs };
}

test('what a source writes is seen before it goes on, and in one piece at the end', async () => {
  const { source, client, body, overs } = flow();
  body.start(client);
  source.sink?.write(Buffer.from('one\n'));
  await until('the first line', () => client.seen === 'one\n');
  source.sink?.write(Buffer.from('two\n'));
  source.sink?.lend(Buffer.from('three\n'));
  await until('the others', () => client.seen === 'one\ntwo\nthree\n');
  source.sink?.end();
  await until('the end', () => client.ended === 1);
  assert.equal(zlib.gunzipSync(Buffer.concat(client.chunks)).toString(), 'one\ntwo\nthree\n');
  assert.deepEqual(overs, [14]);
});

test('buffers come back when they are not needed any more', async () => {
  const { source, client, body } = flow();
  let free = 0;
  body.begin();
  source.sink?.write(Buffer.from('early'), () => free++);
  body.start(client);
  source.sink?.write(Buffer.from('late'), () => free++);
  await until('both', () => free === 2);
  source.sink?.end();
  await until('the end', () => client.ended === 1);
});

test('a body that is there already is given whole', () => {
  const { source, body, overs } = flow();
  body.begin();
  source.sink?.write(Buffer.from('a'));
  assert.equal(body.takeWhole(), undefined);
  source.sink?.end();
  assert.equal(body.takeWhole()?.toString(), 'a');
  assert.equal(overs.length, 1);
});

test('a client that does not read holds the source back, and gets everything later', async () => {
  const { source, client, body } = flow();
  client.takes = false;
  body.start(client);
  const block = Buffer.from(Array.from({ length: 16384 }, () => Math.floor(Math.random() * 256)));
  let written = 0;
  for (let more = true; more && written < 10_000_000; written += block.length)
    more = source.sink?.write(block) === true;
  assert.ok(written < 200_000, `${written} bytes were taken without a client`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(client.bytes <= 8192, `${client.bytes} bytes for a client that takes none`);
  assert.equal(source.resumed, 0);
  client.takes = true;
  body.resume();
  await until('the source may go on', () => source.resumed > 0);
  source.sink?.end();
  await until('the end', () => client.ended === 1);
  assert.equal(zlib.gunzipSync(Buffer.concat(client.chunks)).length, written);
});

test('a client that leaves ends the source, at every moment', async () => {
  for (const when of ['before', 'begun', 'started', 'written', 'ended'] as const) {
    const { source, client, body, overs } = flow();
    if (when !== 'before') body.begin();
    if (when !== 'before' && when !== 'begun') body.start(client);
    if (when === 'written' || when === 'ended') source.sink?.write(Buffer.alloc(100_000, 'x'));
    if (when === 'ended') source.sink?.end();
    body.cancel();
    body.cancel();
    assert.equal(source.cancelled, when === 'ended' ? 0 : 1, when);
    assert.equal(overs.length, 1, when);
    assert.equal(source.sink?.write(Buffer.from('x')) ?? false, false);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(client.ended, 0, when);
  }
});

test('what a source that fails has written is seen before the cut', async () => {
  for (const early of [false, true]) {
    const { source, client, body, overs } = flow();
    if (!early) body.start(client);
    else body.begin();
    source.sink?.write(Buffer.from('half'));
    source.sink?.fail(new Error('broken'));
    if (early) body.start(client);
    await until('the cut', () => client.error !== undefined);
    assert.equal(client.error?.message, 'broken');
    assert.equal(client.seen, 'half');
    assert.equal(client.ended, 0);
    assert.equal(overs.length, 1);
  }
});
