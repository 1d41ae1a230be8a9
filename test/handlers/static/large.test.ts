/** Files that are large, and files that change while they are being sent, through the real gateway on both engines. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  openSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { descriptorsOf, memoryOf, until } from '../../support/processes.ts';
import { RawClient } from '../../support/raw.ts';
import { get, onBoth, serve } from '../../support/static-site.ts';

/** More than the kernel holds for a connection that nobody reads. */
const SIZE = 48 << 20;

describe('a file that changes while it is being sent', () => {
  const changes: readonly (readonly [what: string, change: (file: string) => void, whole: boolean])[] = [
    ['grows', (file) => appendFileSync(file, Buffer.alloc(1 << 20, 'new')), true],
    ['shrinks', (file) => truncateSync(file, SIZE - (1 << 20)), false],
    ['is emptied', (file) => truncateSync(file, 0), false],
    [
      'is replaced',
      (file) => {
        writeFileSync(`${file}.new`, Buffer.alloc(1 << 20, 'new'));
        renameSync(`${file}.new`, file);
      },
      true,
    ],
    ['disappears', (file) => unlinkSync(file), true],
  ];
  for (const [what, change, whole] of changes)
    test(`it ${what}`, async (t) => {
      const gateway = await serve(t, '');
      const before = descriptorsOf(gateway.pid).length;
      await onBoth(t, gateway, async (port) => {
        const file = join(gateway.root, 'file.bin');
        const old = Buffer.alloc(SIZE, 'abcdefg');
        writeFileSync(file, old);
        const client = await RawClient.connect(port);
        client.send('GET /file.bin HTTP/1.1\r\nHost: x\r\n\r\n');
        await until('first bytes', () => client.received.length > 0);
        client.socket.pause();
        change(file);
        client.socket.resume();
        const reply = await client.reply();
        assert.equal(reply.header('content-length'), String(SIZE));
        assert.equal(reply.complete, whole);
        assert.ok(reply.body.equals(old.subarray(0, reply.body.length)), 'nothing but the old file');
        client.destroy();
        if (!whole) {
          const line = await gateway.logged((line) => line['cut'] !== undefined);
          assert.equal(line['status'], 200);
        }
        const now = await get(port, '/file.bin');
        assert.equal(now.status, what === 'disappears' ? 404 : 200);
      });
      await until('no descriptor left', () => descriptorsOf(gateway.pid).length <= before + 1);
    });
});

test('a sparse file of 8 GiB by range', async (t) => {
  const GIB = 1024 ** 3;
  const size = 8 * GIB + 100;
  const gateway = await serve(t, '');
  const file = join(gateway.root, 'disk.img');
  writeFileSync(file, '');
  truncateSync(file, size);
  const descriptor = openSync(file, 'r+');
  for (const [text, at] of [['[4g]', 4 * GIB - 2], ['[7g]', 7 * GIB], ['[end]', size - 5]] as const) // biome-ignore format: one line
    writeSync(descriptor, text, at);
  closeSync(descriptor);
  await onBoth(t, gateway, async (port) => {
    const head = await get(port, '/disk.img', {}, 'HEAD');
    assert.equal(head.header('content-length'), String(size));
    const cases = [
      [`bytes=${4 * GIB - 2}-${4 * GIB + 1}`, '[4g]'],
      [`bytes=${7 * GIB}-${7 * GIB + 3}`, '[7g]'],
      ['bytes=-5', '[end]'],
      [`bytes=${size - 5}-`, '[end]'],
    ] as const;
    for (const [range, text] of cases) {
      const reply = await get(port, '/disk.img', { Range: range });
      assert.deepEqual([reply.status, reply.body.toString()], [206, text]);
      assert.match(reply.header('content-range') ?? '', new RegExp(`/${size}$`));
    }
    const both = await get(port, '/disk.img', { Range: `bytes=${7 * GIB}-${7 * GIB + 3},-5,0-0` });
    assert.match(
      both.body.toString('latin1'),
      /\r\n\r\n\[7g\]\r\n--[\s\S]*\r\n\r\n\[end\]\r\n--[\s\S]*\r\n\r\n\0\r\n--/,
    );
    // Somebody who takes what is beyond 4 GiB and then leaves.
    const client = await RawClient.connect(port);
    client.send(`GET /disk.img HTTP/1.1\r\nHost: x\r\nRange: bytes=${4 * GIB}-\r\n\r\n`);
    await until('a megabyte', () => client.received.length > 1 << 20);
    assert.match(client.received.toString('latin1', 0, 500), new RegExp(`content-length: ${size - 4 * GIB}\r\n`, 'i'));
    client.destroy();
  });
  await until('no descriptor left', () => !descriptorsOf(gateway.pid).some((name) => name.includes('disk.img')));
});

test('a large download takes little memory, however slowly it is read', async (t) => {
  const gateway = await serve(t, '');
  const file = join(gateway.root, 'zeros.bin');
  writeFileSync(file, '');
  truncateSync(file, 512 << 20);
  await onBoth(t, gateway, async (port) => {
    await get(port, '/here');
    const before = memoryOf(gateway.pid, 'RssAnon');
    const client = await RawClient.connect(port);
    let received = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (bytes: Buffer) => {
      received += bytes.length;
    });
    client.send('GET /zeros.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    let most = 0;
    await until('the end', () => {
      most = Math.max(most, memoryOf(gateway.pid, 'RssAnon'));
      return client.closed;
    });
    assert.ok(received > 512 << 20);
    t.diagnostic(`grew by ${most - before} KiB`);
    assert.ok(most - before < 24_000, `grew by ${most - before} KiB`);
  });
});
