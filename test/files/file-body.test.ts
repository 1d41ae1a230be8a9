/** FileBody against a sink that plays a client of every pace. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { BodySink } from '../../src/engine/engine.ts';
import { FileBody, ReadBuffers } from '../../src/files/file-body.ts';
import { collect } from '../support/collect.ts';

const folder = mkdtempSync(join(tmpdir(), 'runnel-stream-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'file');
const buffers = new ReadBuffers();
const content = Buffer.alloc(1_300_000, 'abcdefghijklmnopqrstuvwxyz0123456789');

function body(offset: number, length: number): { source: FileBody; isClosed: () => Promise<boolean> } {
  const descriptor = openSync(file, 'r');
  const { ino } = fstatSync(descriptor);
  const pieces = length === 0 ? [] : [{ start: offset, end: offset + length - 1 }];
  const source = new FileBody(descriptor, pieces, buffers, (error) => assert.ifError(error));
  const open = (): boolean => {
    try {
      return fstatSync(descriptor).ino === ino;
    } catch {
      return false;
    }
  };
  return {
    source,
    async isClosed() {
      while (open()) await new Promise(setImmediate);
      return true;
    },
  };
}

for (const pace of ['fast', 'slow', 'resumes at once'] as const) {
  test(`a whole file and parts of one, ${pace}`, async () => {
    writeFileSync(file, content);
    const parts: readonly (readonly [number, number])[] = [
      [0, content.length],
      [0, 0],
      [0, 1],
      [299_999, 1],
      [65_535, 65_538],
    ];
    for (const [offset, length] of parts) {
      const { source, isClosed } = body(offset, length);
      const got = await collect(source, pace);
      assert.ok(got.equals(content.subarray(offset, offset + length)));
      assert.ok(await isClosed());
    }
  });
}

test('large buffers come back, from clients of every pace, and from downloads that were cut', async () => {
  writeFileSync(file, content);
  for (const pace of ['fast', 'slow', 'resumes at once'] as const) await collect(body(0, content.length).source, pace);
  for (let download = 0; download < 20; download++) {
    const { source, isClosed } = body(0, content.length);
    await new Promise<void>((resolve) => {
      let chunks = 0;
      const write = (): boolean => {
        if (++chunks < 3) return true;
        resolve();
        return false;
      };
      source.start({ write, lend: write, end: assert.fail, fail: assert.fail });
    });
    source.cancel();
    assert.ok(await isClosed());
  }
  const places = Array.from({ length: 20 }, () => buffers.enter());
  assert.equal(places.filter(Boolean).length, 8);
  for (const place of places) if (place) buffers.leave();
});

test('a file that shrinks meanwhile fails, one that grows is clipped', async () => {
  writeFileSync(file, content);
  const shrunk = body(0, content.length);
  truncateSync(file, 100_000);
  await assert.rejects(collect(shrunk.source, 'fast'), /shorter/);
  assert.ok(await shrunk.isClosed());

  writeFileSync(file, content);
  const grown = body(0, content.length);
  appendFileSync(file, 'more');
  assert.ok((await collect(grown.source, 'slow')).equals(content));
});

test('a client that leaves closes the descriptor: before the start, during a read, while waiting', async () => {
  writeFileSync(file, content);
  const before = body(0, content.length);
  before.source.cancel();
  assert.ok(await before.isClosed());

  const ignore: BodySink = { write: () => false, lend: () => false, end: assert.fail, fail: assert.fail };
  const during = body(0, content.length);
  during.source.start(ignore);
  during.source.cancel();
  assert.ok(await during.isClosed());

  const waiting = body(0, content.length);
  await new Promise<void>((resolve) => {
    waiting.source.start({
      ...ignore,
      write: () => {
        setImmediate(resolve);
        return false;
      },
    });
  });
  waiting.source.cancel();
  assert.ok(await waiting.isClosed());
});

test('a client that can be sent to directly gets all but the ends that way, and a little is written when it takes less', async () => {
  writeFileSync(file, content);
  const { source, isClosed } = body(10, content.length - 20);
  const got: Buffer[] = [];
  const how: string[] = [];
  // Whole, less, nothing, not possible now, whole from then on.
  const takes = [content.length, 1, 0, undefined, content.length];
  await new Promise<void>((resolve) => {
    let behind = false;
    source.start({
      lend: () => assert.fail(),
      write(chunk, free) {
        got.push(Buffer.from(chunk));
        how.push(`written ${chunk.length}`);
        free?.();
        // Behind once, after the first little one.
        if (behind || how.length < 3) return true;
        behind = true;
        setImmediate(() => source.resume());
        return false;
      },
      sendFile(descriptor, position, length) {
        if (how.length === 0) return undefined;
        const take = takes.length > 1 ? takes.shift() : takes[0];
        how.push(take === undefined ? 'not now' : `sent ${take < length ? take : 'all'}`);
        if (take === undefined) return undefined;
        const bytes = Buffer.alloc(Math.min(take, length));
        readSync(descriptor, bytes, 0, bytes.length, position);
        got.push(bytes);
        return bytes.length;
      },
      end: resolve,
      fail: assert.fail,
    });
  });
  assert.ok(Buffer.concat(got).equals(content.subarray(10, content.length - 10)));
  const expected = [
    'written 65536',
    'sent all',
    'sent 1',
    'written 4096',
    'sent 0',
    'written 4096',
    'not now',
    'written 262144',
  ];
  assert.deepEqual(how.slice(0, expected.length), expected);
  assert.match(how.at(-1) ?? '', /^written/);
  assert.ok(await isClosed());
});

test('a download that is cut between two turns in which it is sent directly closes its file', async () => {
  writeFileSync(file, content);
  const { source, isClosed } = body(0, content.length);
  await new Promise<void>((resolve) => {
    let calls = 0;
    const sendFile = (_file: number, _position: number, length: number): number | undefined => {
      calls++;
      if (calls === 1) return undefined;
      resolve();
      return length;
    };
    source.start({ write: () => true, lend: () => true, sendFile, end: assert.fail, fail: assert.fail });
  });
  source.cancel();
  assert.ok(await isClosed());
});

test('a file that becomes shorter while it is sent directly fails the reply', async () => {
  writeFileSync(file, content);
  const { source, isClosed } = body(0, content.length);
  const error = await new Promise<Error>((resolve) => {
    let calls = 0;
    const sendFile = (): number | undefined => {
      calls++;
      if (calls === 1) return undefined;
      truncateSync(file, 70_000);
      return 4464;
    };
    source.start({ write: () => true, lend: () => true, sendFile, end: assert.fail, fail: resolve });
  });
  assert.match(error.message, /became shorter/);
  assert.ok(await isClosed());
});
