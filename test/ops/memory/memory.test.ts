import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadKoffi } from '../../../src/ops/addons/addon.ts';
import { openAssets } from '../../../src/ops/assets.ts';
import { groupFiles, memoryLimit } from '../../../src/ops/memory/limit.ts';
import { allocatorTrimmer, dropExecutable, droppable } from '../../../src/ops/memory/memory.ts';

const SMAPS = `00400000-01c9a000 r--p 00000000 fe:00 123                            /opt/runnel
Size:              25192 kB
Rss:               10000 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
01c9a000-04000000 r-xp 0189a000 fe:00 123                            /opt/runnel
Anonymous:             0 kB
04000000-04800000 r--p 03c00000 fe:00 123                            /opt/runnel
Anonymous:          8192 kB
04800000-04801000 r--p 04400000 fe:00 123                            /opt/runnel
Anonymous:             0 kB
04900000-05a00000 rw-p 04500000 fe:00 123                            /opt/runnel
Anonymous:             0 kB
7f0000000000-7f0001000000 r-xp 00000000 fe:00 9                      /usr/lib/libc.so.6
Anonymous:             0 kB
7f1000000000-7f1001000000 r-xp 00000000 fe:00 9
Anonymous:             0 kB
`;

test('of the executable, what is large, read-only and never written can be dropped', () => {
  assert.deepEqual(droppable(SMAPS, '/opt/runnel'), [
    { start: 0x400000n, length: 0x189a000 },
    { start: 0x1c9a000n, length: 0x2366000 },
  ]);
  assert.deepEqual(droppable('', '/opt/runnel'), []);
});

test('the executable comes back when it is used again', () => {
  // This very process.
  assert.ok(dropExecutable(loadKoffi(openAssets())) > 1 << 20);
  assert.equal(JSON.stringify(droppable(readFileSync('/proc/self/smaps', 'utf8'), 'none')), '[]');
});

test('the limit is the smallest of the machine and of the groups', () => {
  const files: { [path: string]: string } = {
    '/proc/meminfo': 'MemTotal:         1024 kB\nMemFree: 3 kB\n',
    '/proc/self/cgroup': '12:cpu,cpuacct:/x\n4:memory:/board/web\n0::/system.slice/runnel.service\n',
    '/sys/fs/cgroup/memory/board/web/memory.limit_in_bytes': '9223372036854771712\n',
    '/sys/fs/cgroup/memory/board/memory.limit_in_bytes': '500000\n',
    '/sys/fs/cgroup/system.slice/runnel.service/memory.max': 'max\n',
  };
  const read = (path: string): string => {
    const text = files[path];
    if (text === undefined) throw new Error('ENOENT');
    return text;
  };
  assert.equal(memoryLimit(read), 500_000);
  files['/sys/fs/cgroup/memory.max'] = '400000\n';
  assert.equal(memoryLimit(read), 400_000);
  files['/proc/self/cgroup'] = '';
  assert.equal(memoryLimit(read), 1024 * 1024);
  files['/proc/meminfo'] = '';
  assert.equal(memoryLimit(read), undefined);
  assert.ok((memoryLimit() ?? 0) > 1 << 20);
});

test('the files of the groups, from the innermost to the root', () => {
  assert.deepEqual(groupFiles('0::/a/b\n'), [
    '/sys/fs/cgroup/a/b/memory.max',
    '/sys/fs/cgroup/a/memory.max',
    '/sys/fs/cgroup/memory.max',
  ]);
  assert.deepEqual(groupFiles('7:memory:/\n3:cpu:/x\nnonsense\n'), ['/sys/fs/cgroup/memory/memory.limit_in_bytes']);
});

test('free memory of the allocator goes back', () => {
  const trim = allocatorTrimmer(loadKoffi(openAssets()));
  assert.equal(typeof trim(), 'boolean');
});
