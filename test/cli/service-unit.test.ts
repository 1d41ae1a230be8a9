/** What the unit that is shipped gives the gateway, and what drop-ins change of it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sandboxedDisk } from '../../src/cli/check/user-disk.ts';
import {
  configOf,
  hasCredential,
  parseUnit,
  readUnit,
  sandboxOf,
  userOf,
  wordsOf,
} from '../../src/cli/service-unit.ts';
import { failureInWords, realDisk } from '../../src/config/disk/disk.ts';

const SHIPPED = readFileSync(join(import.meta.dirname, '../../../deploy/systemd/runnel.service'), 'utf8');
const shipped = parseUnit([SHIPPED]);

test('the unit that is shipped', () => {
  assert.equal(userOf(shipped), 'runnel');
  assert.equal(configOf(shipped), '/etc/runnel/runnel.toml');
  assert.deepEqual(wordsOf(shipped, 'AmbientCapabilities'), ['CAP_NET_BIND_SERVICE']);
  assert.equal(hasCredential(shipped, 'board.pass'), false);
});

const PATHS: readonly (readonly [
  path: string,
  dropIn: string,
  hidden: RegExp | undefined,
  readOnly: RegExp | undefined,
])[] = [
  ['/home/pi/prog.sh', '', /is below \/home, .*ProtectHome=yes/, /ProtectSystem=strict/],
  ['/homes/pi', '', undefined, /ProtectSystem=strict/],
  ['/root', '', /ProtectHome/, /ProtectSystem=strict/],
  ['/run/user/1000/x', '', /ProtectHome/, /ProtectSystem=strict/],
  ['/home/pi/prog.sh', 'ProtectHome=read-only', undefined, /ProtectSystem=strict/],
  ['/home/pi/www/x', 'BindReadOnlyPaths=/home/pi/www', undefined, /ProtectSystem=strict/],
  ['/tmp/x', '', /PrivateTmp=yes/, undefined],
  ['/tmp/x', 'PrivateTmp=no', undefined, undefined],
  ['/usr/local/bin/prog', '', undefined, /ProtectSystem=strict/],
  ['/var/lib/runnel/x', '', undefined, undefined],
  ['/var/log/runnel/x', '', undefined, undefined],
  ['/var/log/x', '', undefined, /ProtectSystem=strict/],
  ['/run/runnel/x', '', undefined, undefined],
  ['/run/board/x', '', undefined, /ProtectSystem=strict/],
  ['/run/board/x', 'RuntimeDirectory=board', undefined, undefined],
  ['/srv/data/x', 'ReadWritePaths=-/srv/data', undefined, undefined],
  ['/srv/x', 'InaccessiblePaths=/srv', /InaccessiblePaths/, /ProtectSystem=strict/],
  ['/srv/x', 'ProtectSystem=full', undefined, undefined],
  ['/etc/x', 'ProtectSystem=full', undefined, /ProtectSystem=full/],
  ['/srv/x', 'ProtectSystem=no', undefined, undefined],
];

for (const [path, dropIn, hidden, readOnly] of PATHS)
  test(`${path} ${dropIn}`, () => {
    const sandbox = sandboxOf(parseUnit([SHIPPED, `[Service]\n${dropIn}\n`]));
    for (const [failed, pattern] of [
      [sandbox.hides(path), hidden],
      [sandbox.protects(path), readOnly],
    ] as const)
      if (pattern === undefined) assert.equal(failed, undefined);
      else assert.match(failed === undefined ? 'nothing' : failureInWords(failed), pattern);
  });

test('a later line adds, an empty one takes back, other sections and comments are not ours', () => {
  const unit = parseUnit([
    '[Unit]\nUser=a\n[Service]\n#User=b\nUser=c\nReadWritePaths=/a \\\n  /b\nLoadCredential=one:/x\n',
    '[Service]\nReadWritePaths=/c\nExecStart=\nExecStart=/usr/bin/runnel serve --config /srv/r.toml\n',
    '[Service]\nUser=\nLoadCredential=\nSetCredential=two:secret\n',
  ]);
  assert.deepEqual(wordsOf(unit, 'ReadWritePaths'), ['/a', '/b', '/c']);
  assert.equal(userOf(unit), 'root');
  assert.equal(configOf(unit), '/srv/r.toml');
  assert.deepEqual([hasCredential(unit, 'one'), hasCredential(unit, 'two')], [false, true]);
});

test('drop-ins of every folder, in the order of their names', () => {
  const root = mkdtempSync(join(tmpdir(), 'runnel-units-'));
  after(() => rmSync(root, { recursive: true }));
  const put = (path: string, content: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  assert.equal(readUnit(root), undefined);
  put('lib/systemd/system/runnel.service', SHIPPED);
  put('etc/systemd/system/runnel.service.d/20-b.conf', '[Service]\nUser=pi\n');
  put('run/systemd/system/runnel.service.d/10-a.conf', '[Service]\nUser=nobody\n');
  put('lib/systemd/system/runnel.service.d/20-b.conf', '[Service]\nUser=daemon\n');
  const unit = readUnit(root);
  assert.equal(unit === undefined ? 'none' : userOf(unit), 'pi');
  put('etc/systemd/system/runnel.service', '[Service]\nUser=other\n');
  put('etc/systemd/system/runnel.service.d/20-b.conf', '[Service]\nGroup=x\n');
  const own = readUnit(root);
  assert.deepEqual(own && [userOf(own), wordsOf(own, 'Group')], ['nobody', ['x']]);
});

test('a sandboxed disk hides a file behind its link, too', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-sandbox-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'x'), 'hello');
  const disk = sandboxedDisk(realDisk(), sandboxOf(shipped));
  const seen = disk.read(join(folder, 'x'));
  assert(typeof seen !== 'string' && /PrivateTmp/.test(failureInWords(seen)));
  assert.deepEqual(disk.look('/etc'), { found: 'folder' });
  assert.match(failureInWords(disk.whyNotWritable('/etc') ?? { failed: 'nothing' }), /ProtectSystem=strict/);
  assert.match(failureInWords(disk.whyFileNotWritable('/etc/passwd') ?? { failed: 'nothing' }), /ProtectSystem=strict/);
});
