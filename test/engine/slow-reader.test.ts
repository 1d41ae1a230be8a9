/** The contract of an engine: a big reply to a client that reads slowly arrives whole, and is not held in memory. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ENGINES, PATTERN } from '../support/trial.ts';
import { until } from '../support/until.ts';

const MB = 1 << 20;
const TOTAL = 200 * MB;
/** What the kernel's own buffers on both sides of a loopback connection may hold, generously. */
const KERNEL_BYTES = 16 * MB;
const MEMORY_BYTES = 40 * MB;

interface Report {
  readonly written: number;
  readonly rss: number;
}

for (const name of ENGINES) {
  describe(`${name}: a slow reader`, { concurrency: true }, () => {
    for (const known of [true, false]) {
      test(`200 MB ${known ? 'with a length' : 'in chunks'}`, async () => {
        const child = fork(fileURLToPath(new URL('../support/big-reply.js', import.meta.url)), [name]);
        try {
          await slowReader(child, known);
        } finally {
          child.disconnect();
          await once(child, 'exit');
        }
      });
    }
  });
}

async function slowReader(child: ChildProcess, known: boolean): Promise<void> {
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const start = await report(child);
  const socket = connect({ host: '127.0.0.1', port });
  socket.pause();
  socket.write(`GET ${known ? '/known' : '/unknown'} HTTP/1.1\r\nHost: a\r\n\r\n`);
  let before = await report(child);
  for (let same = 0; same < 5; ) {
    const now = await report(child);
    same = now.written > 0 && now.written === before.written ? same + 1 : 0;
    before = now;
  }
  assert(before.written < KERNEL_BYTES, `${before.written} bytes were taken for a client that read none`);
  const hash = createHash('sha256');
  let received = 0;
  let pauseAt = 10 * MB;
  let peak = before.rss;
  const unframe = unframer(known, (bytes) => {
    received += bytes.length;
    hash.update(bytes);
  });
  socket.on('data', (bytes: Buffer) => {
    unframe(bytes);
    if (received < pauseAt) return;
    pauseAt += 10 * MB;
    // It stops reading now and then, so that the source is held back again.
    socket.pause();
    report(child).then(({ rss }) => {
      peak = Math.max(peak, rss);
      setTimeout(() => socket.resume(), 10);
    });
  });
  socket.resume();
  await until(() => received >= TOTAL, 'all bytes', 60_000);
  assert.equal(received, TOTAL);
  const expected = createHash('sha256');
  for (let at = 0; at < TOTAL; at += PATTERN.length) expected.update(PATTERN);
  assert.equal(hash.digest('hex'), expected.digest('hex'));
  assert(peak - start.rss < MEMORY_BYTES, `memory grew by ${peak - start.rss} bytes`);
  socket.destroy();
}

async function report(child: ChildProcess): Promise<Report> {
  const answer = once(child, 'message') as Promise<[Report]>;
  child.send('report');
  return (await answer)[0];
}

/** Strips the head and the framing of chunks, keeping nothing. */
function unframer(known: boolean, take: (bytes: Buffer) => void): (bytes: Buffer) => void {
  let head = '';
  let inHead = true;
  let left = 0;
  let line = '';
  return (bytes) => {
    let at = 0;
    if (inHead) {
      const before = head.length;
      head += bytes.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      inHead = false;
      at = end + 4 - before;
    }
    if (known) return take(bytes.subarray(at));
    while (at < bytes.length) {
      if (left > 0) {
        const part = bytes.subarray(at, at + left);
        take(part);
        left -= part.length;
        at += part.length;
        continue;
      }
      const end = bytes.indexOf('\n', at);
      line += bytes.toString('latin1', at, end < 0 ? bytes.length : end + 1);
      if (end < 0) return;
      at = end + 1;
      if (line !== '\r\n') left = Number.parseInt(line, 16);
      line = '';
    }
  };
}
