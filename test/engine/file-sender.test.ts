/** Bytes of a file that go to a connection without coming here. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDescriptors } from '../../src/engine/descriptors.ts';
import { CANNOT_SEND, NOT_IN_MEMORY } from '../../src/engine/file-sender.ts';
import { loadKoffi } from '../../src/ops/addons/addon.ts';
import { openAssets } from '../../src/ops/assets.ts';

test('what is asked for comes, as much as fits; what cannot be sent says so, and memory that is freed meanwhile is not written to', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-sender-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const content = randomBytes(3_000_000);
  writeFileSync(join(folder, 'file'), content);
  const file = openSync(join(folder, 'file'), 'r');
  t.after(() => closeSync(file));
  const descriptors = openDescriptors(loadKoffi(openAssets()), 1024);
  const [ours = -1, its = -1] = descriptors.pair() ?? [];
  t.after(() => descriptors.close(ours));
  const reader = new Socket({ fd: its });
  t.after(() => reader.destroy());

  let at = 100;
  let kept: Buffer[] = [];
  let sent = descriptors.sendFile(ours, file, at, 200_000);
  // A file system of which the kernel cannot say what is in memory.
  if (sent === CANNOT_SEND) return t.skip('not on this file system');
  for (; at < content.length; sent = descriptors.sendFile(ours, file, at, Math.min(200_000, content.length - at))) {
    assert.ok(sent >= 0 && sent <= 200_000, String(sent));
    if (sent > 0) {
      const wanted = sent;
      let got = 0;
      while (got < wanted) {
        const piece = reader.read() as Buffer | null;
        if (piece === null) await once(reader, 'readable');
        else {
          assert.ok(piece.equals(content.subarray(at + got, at + got + piece.length)));
          got += piece.length;
        }
      }
      at += wanted;
    }
    // What nobody holds any more is collected, and its place used again.
    kept = Array.from({ length: 200 }, (_, index) => Buffer.alloc(1 + (index % 64), 0xee));
  }
  assert.ok(kept.every((each) => each.every((byte) => byte === 0xee)));
  assert.equal(descriptors.sendFile(ours, file, content.length, 1), NOT_IN_MEMORY);
  assert.equal(descriptors.sendFile(-1, file, 0, 1), CANNOT_SEND);
  assert.equal(descriptors.sendFile(ours, -1, 0, 1), CANNOT_SEND);
});
