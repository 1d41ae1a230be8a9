/** A program's stdin: what a pipe takes at once, what it does not, and how it is closed. */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { loadKoffi } from '../../../src/ops/addons/addon.ts';
import { openAssets } from '../../../src/ops/assets.ts';
import { F_SETFL, O_CLOEXEC, O_NONBLOCK, posixCalls } from '../../../src/process/posix/calls.ts';
import { PipeInput } from '../../../src/process/posix/pipe-input.ts';
import { until } from '../../support/until.ts';

const calls = posixCalls(loadKoffi(openAssets()));

function start() {
  const two = new Int32Array(2);
  assert.equal(calls.pipe2(two, O_CLOEXEC), 0);
  const [read = -1, write = -1] = two;
  let streams = 0;
  const input = new PipeInput(write, {
    unblock: (descriptor) => void calls.fcntl(descriptor, F_SETFL, O_NONBLOCK),
    open: (fd) => {
      streams++;
      return new Socket({ fd, readable: false, writable: true }).on('error', () => undefined);
    },
  });
  return { input, read, write, streams: () => streams };
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

test('what fits is in the pipe when the call returns, and the end closes it: no stream is made', () => {
  const { input, read, write, streams } = start();
  const told: unknown[] = [];
  input.write(Buffer.from('one '), (error) => told.push(error));
  input.write('two ', (error) => told.push(error));
  input.end('three');
  assert.deepEqual(told, [undefined, undefined]);
  assert.equal(input.writable, false);
  assert.equal(isOpen(write), false);
  assert.equal(streams(), 0);
  const into = Buffer.alloc(100);
  assert.equal(into.toString('latin1', 0, readSync(read, into)), 'one two three');
  assert.equal(readSync(read, into), 0);
  closeSync(read);
});

test('what a full pipe does not take comes in order, as it is read, and then the end', async () => {
  const { input, read, streams } = start();
  const pieces = Array.from({ length: 100 }, (_, at) => Buffer.alloc(5000, at));
  let taken = 0;
  for (const piece of pieces) input.write(piece, (error) => error ?? taken++);
  input.end();
  assert.equal(streams(), 1);
  assert.ok(taken > 0 && taken < pieces.length, `${taken}`);
  const chunks: Buffer[] = [];
  const reader = new Socket({ fd: read, readable: true, writable: false });
  reader.on('data', (chunk: Buffer) => chunks.push(chunk));
  await until(() => reader.destroyed, 'the end');
  assert.ok(Buffer.concat(chunks).equals(Buffer.concat(pieces)));
  assert.equal(taken, pieces.length);
});

test('a pipe that nobody reads any more is closed, and the callback says why', () => {
  const { input, read, write } = start();
  closeSync(read);
  const told: unknown[] = [];
  input.write('x', (error) => told.push((error as NodeJS.ErrnoException).code));
  assert.deepEqual(told, ['EPIPE']);
  assert.equal(input.writable, false);
  assert.equal(isOpen(write), false);
  let later: string | undefined;
  input.write('y', (error) => {
    later = error?.message;
  });
  assert.equal(later, 'written behind the end');
  input.end();
  input.destroy();
});

test('it is closed once, by whatever comes first', () => {
  for (const close of ['end', 'destroy'] as const) {
    const { input, read, write } = start();
    input[close]();
    assert.equal(isOpen(write), false);
    closeSync(read);
    // Another one gets these numbers, which must stay open.
    const other = start();
    input.destroy();
    input.end();
    assert.equal(isOpen(other.write), true);
    other.input.destroy();
    closeSync(other.read);
  }
});
