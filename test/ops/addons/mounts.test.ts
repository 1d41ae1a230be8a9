import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountOf, parseMounts, readMounts, refusesCode } from '../../../src/ops/addons/mounts.ts';

const TABLE = `/dev/root / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw,nosuid,nodev,noexec 0 0
tmpfs /run tmpfs rw,nosuid,nodev 0 0
/dev/sda1 /run/media/my\\040disk\\134 vfat ro,noexec 0 0
/dev/sdb1 /srv/gr\\303\\274n ext4 ro 0 0
/dev/sdc1 /srv/b\u00fccher ext4 noexec 0 0
first /twice tmpfs noexec 0 0
second /twice tmpfs rw 0 0

nonsense
`;

test('the text of /proc/self/mounts becomes points and options', () => {
  const mounts = parseMounts(TABLE);
  assert.deepEqual(
    mounts.map((mount) => mount.point),
    ['/', '/tmp', '/run', '/run/media/my disk\\', '/srv/gr\u00fcn', '/srv/b\u00fccher', '/twice', '/twice'],
  );
  assert.deepEqual([...(mounts[1]?.options ?? [])], ['rw', 'nosuid', 'nodev', 'noexec']);
});

const cases: readonly [path: string, point: string, refusal: string | undefined][] = [
  ['/', '/', undefined],
  ['/var/tmp', '/', undefined],
  ['/tmp', '/tmp', 'noexec'],
  ['/tmp/a/b', '/tmp', 'noexec'],
  ['/tmpfiles', '/', undefined],
  ['/run/media', '/run', undefined],
  ['/run/media/my disk\\/x', '/run/media/my disk\\', 'read-only'],
  ['/srv/gr\u00fcn/x', '/srv/gr\u00fcn', 'read-only'],
  ['/srv/b\u00fccher', '/srv/b\u00fccher', 'noexec'],
  ['/twice/x', '/twice', undefined],
];

for (const [path, point, refusal] of cases) {
  test(`${path} lies on ${point}: ${refusal ?? 'code may run'}`, () => {
    const mounts = parseMounts(TABLE);
    assert.equal(mountOf(mounts, path)?.point, point);
    assert.equal(refusesCode(mounts, path), refusal);
  });
}

test('without a table nothing speaks against a folder', () => {
  assert.equal(mountOf([], '/tmp'), undefined);
  assert.equal(refusesCode([], '/tmp'), undefined);
});

test('the running system has a root', () => {
  assert.equal(mountOf(readMounts(), '/')?.point, '/');
});
