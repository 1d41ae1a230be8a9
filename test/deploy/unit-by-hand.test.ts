/** The steps of docs/systemd.md for a machine without the Debian package: they are typed as root, on copies of the folders that they change. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { commandsOf, readPage } from '../docs/pages.ts';
import { folderWith } from '../support/gateway.ts';

const MAIN = join(import.meta.dirname, '../../src/main.js');
/** Changes to these folders stay in the mount namespace of the shell. */
const COPIES = `set -e
mount -t tmpfs none "$COPIES"
for place in /etc /usr/local; do
  mkdir -p "$COPIES$place/new" "$COPIES$place/work"
  mount -t overlay overlay -o "lowerdir=$place,upperdir=$COPIES$place/new,workdir=$COPIES$place/work" "$place"
done
if getent passwd runnel >/dev/null; then userdel runnel 2>/dev/null; fi
`;
/** What is on the machine when the commands have been typed. */
const LOOK = `
systemd-analyze verify --man=no /etc/systemd/system/runnel.service
getent passwd runnel
grep -n /bin/runnel /etc/systemd/system/runnel.service
stat -c '%A %U %n' /etc/runnel /etc/runnel/runnel.toml /usr/local/bin/runnel
`;

const inNamespace = (script: string, folder: string, path = process.env['PATH']): ReturnType<typeof spawnSync> =>
  spawnSync('unshare', ['--mount', 'bash', '-c', script], {
    cwd: folder,
    env: { ...process.env, PATH: path, COPIES: join(folder, 'copies') },
    encoding: 'utf8',
  });

test('the service without the package: the unit is right, and the configuration is checked as its user', (t) => {
  const folder = folderWith(t, {
    'copies/.keep': '',
    'runnel-linux-arm64': `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`,
    'runnel.service': readFileSync('deploy/systemd/runnel.service'),
    'bin/sudo': '#!/bin/sh\nexec "$@"\n',
    // No systemd runs here, and nobody sits in front of an editor.
    'bin/systemctl': '#!/bin/sh\necho "systemctl $*"\n',
    'bin/nano': '#!/bin/sh\necho "nano $*"\n',
  });
  for (const name of ['sudo', 'systemctl', 'nano']) chmodSync(join(folder, 'bin', name), 0o755);
  if (inNamespace(COPIES, folder).status !== 0) return t.skip('needs root, and overlays');
  if (spawnSync('systemd-analyze', ['--version']).error !== undefined) return t.skip('needs systemd-analyze');
  const commands = readPage('docs/systemd.md')
    .blocks.filter(({ language, headings }) => language === 'sh' && headings.includes('Without the Debian package'))
    .flatMap(({ text }) => commandsOf(text));
  const { status, stdout, stderr } = inNamespace(
    `${COPIES}${commands.join('')}${LOOK}`,
    folder,
    `${join(folder, 'bin')}:/usr/local/bin:${process.env['PATH']}`,
  );
  const said = `${stdout}${stderr}`;
  assert.equal(status, 0, said);
  assert.equal(stderr, '');
  for (const expected of [
    /^systemctl daemon-reload\nok.*checked as the user runnel, in the sandbox of runnel\.service\nsystemctl enable --now runnel\n/m,
    /^runnel:x:\d+:\d+:[^:]*:\/var\/lib\/runnel:\/usr\/sbin\/nologin$/m,
    /^\d+:ExecStart=\/usr\/local\/bin\/runnel serve -c \/etc\/runnel\/runnel\.toml$/m,
    /^\d+:ExecReload=\/usr\/local\/bin\/runnel check/m,
    /^drwxr-xr-x root \/etc\/runnel$/m,
    /^-rw-r--r-- root \/etc\/runnel\/runnel\.toml$/m,
    /^-rwxr-xr-x root \/usr\/local\/bin\/runnel$/m,
  ])
    assert.match(said, expected);
});
