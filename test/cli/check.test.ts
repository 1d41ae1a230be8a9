/** `runnel check` for another user than the one who types it, and what it sees around a configuration. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { folderWith, runnel } from '../support/gateway.ts';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const asRoot = { skip: process.geteuid?.() === 0 ? false : 'only root may take the place of another user' };
/** Debian's, with these numbers everywhere. */
const WWW_DATA = 33;
const DAEMON = 1;

/** As somebody else types it. The compiled program must be where that user may read it. */
async function typedBy(user: number, args: readonly string[], cwd: string): Promise<string> {
  const run = promisify(execFile)(
    'setpriv',
    [...[`--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--'], ...[process.execPath, MAIN, ...args]],
    { cwd },
  );
  return await run.then(
    ({ stdout, stderr }) => stderr + stdout,
    (error: { stderr: string }) => error.stderr,
  );
}

const ROUTE = '[static."/"]\nroot = "www"\n';

test('says for whom it judges, and counts every kind of route', async (t) => {
  const fastcgi = '[fastcgi."/php/"]\nconnect = "unix:/run/php.sock"\nroot = "www"\n';
  const folder = folderWith(t, { 'www/index.html': '', 'r.toml': ROUTE + fastcgi });
  const result = await runnel(['check', '-c', 'r.toml'], folder);
  assert.match(result.stdout, /^ok: :8080; 2 routes; checked as the user \S+\n$/);
  assert.equal(result.stderr, '');
  const unknown = await runnel(['check', '-c', 'r.toml', '--as', 'nobody-of-this-name'], folder);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /--as nobody-of-this-name: there is no user "nobody-of-this-name" in \/etc\/passwd/);
});

test('what another user may not read, execute or enter', asRoot, async (t) => {
  const folder = folderWith(t, {
    'www/index.html': '',
    'www/secret.html': '',
    'closed/prog.sh': '#!/bin/sh\n',
    'own.sh': '#!/bin/sh\n',
    tokens: `a:${'0'.repeat(64)}\n`,
    'group.tokens': `a:${'0'.repeat(64)}\n`,
    'r.toml': `${ROUTE}auth = { tokens = "group.tokens" }
[stream."/a"]
command = ["closed/prog.sh"]
[stream."/b"]
command = ["./own.sh"]
auth = { tokens = "tokens" }
[static."/closed/"]
root = "closed"
`,
    'good.toml': `${ROUTE}auth = { tokens = "group.tokens" }\n`,
  });
  for (const path of ['', 'www']) chmodSync(join(folder, path), 0o755);
  chmodSync(join(folder, 'www/secret.html'), 0o600);
  chmodSync(join(folder, 'closed'), 0o700);
  chmodSync(join(folder, 'own.sh'), 0o744);
  chmodSync(join(folder, 'tokens'), 0o600);
  chmodSync(join(folder, 'group.tokens'), 0o640);
  chownSync(join(folder, 'group.tokens'), 0, WWW_DATA);
  const said = `r.toml:5:12: stream."/a".command[0]: the program "closed/prog.sh" (${folder}/closed/prog.sh) may not be read by the user www-data, who may not enter ${folder}/closed
r.toml:7:12: stream."/b".command[0]: the program "./own.sh" (${folder}/own.sh) may not be executed by the user www-data: try chmod a+rx, and see that its file system is not mounted noexec
r.toml:8:10: stream."/b".auth.tokens: the file "tokens" (${folder}/tokens) may not be read by the user www-data
r.toml:10:1: static."/closed/".root: the folder "closed" (${folder}/closed) may not be read by the user www-data, who may not enter ${folder}/closed
4 problems found, checked as the user www-data
`;
  const tried = await runnel(['check', '-c', 'r.toml', '--as', 'www-data'], folder);
  assert.equal(tried.stderr, said);
  assert.equal(tried.code, 1);
  assert.equal((await runnel(['check', '-c', 'r.toml'], folder)).code, 0, 'root may all of this');
  const good = await runnel(['check', '-c', 'good.toml', '--as', 'www-data'], folder);
  assert.equal(good.code, 0, good.stderr);
  assert.equal(
    good.stderr,
    'warning: good.toml: static."/".root: "secret.html" may not be read by the user www-data\n',
  );

  await t.test('the same by permissions, where it is not root who asks', async () => {
    const readable = await isReadable(folder);
    if (!readable) return;
    assert.equal(await typedBy(DAEMON, ['check', '-c', 'r.toml', '--as', 'www-data'], folder), said);
    assert.equal(
      await typedBy(DAEMON, ['check', '-c', 'good.toml', '--as', 'www-data'], folder),
      `warning: good.toml:3:10: static."/".auth.tokens: the file "group.tokens" (${folder}/group.tokens) was not checked, because you may not read ${folder}/group.tokens; use "sudo runnel check"
warning: good.toml: static."/".root: "secret.html" may not be read by the user www-data
ok: :8080; 1 route; checked as the user www-data
`,
    );
  });
});

/** The project may lie in a folder of its owner's own. */
async function isReadable(folder: string): Promise<boolean> {
  return (await typedBy(DAEMON, ['version'], folder)).startsWith('runnel');
}

test('scripts that would not start, in a folder of programs', async (t) => {
  const folder = folderWith(t, {
    'cgi/good.cgi': '#!/bin/sh\n',
    'cgi/crlf.cgi': '#!/bin/sh\r\n',
    'cgi/lib/perl.cgi': '#!/no/perl\n',
    'cgi/page.php': 'text',
    'cgi/readme.txt': 'text',
    'r.toml':
      '[cgi."/cgi-bin/"]\nroot = "cgi"\ninterpreters = { ".php" = "/bin/cat" }\n[stream."/x"]\ncommand = ["cat", "~/x"]\n',
  });
  mkdirSync(join(folder, 'cgi/.hidden'));
  copyFileSync('/bin/true', join(folder, 'cgi/binary'));
  chmodSync(join(folder, 'cgi/binary'), 0o755);
  const { stderr, code } = await runnel(['check', '-c', 'r.toml'], folder);
  assert.equal(code, 0);
  assert.match(
    stderr,
    /^warning: r\.toml:5:19: stream."\/x"\.command\[1\]: "~\/x" is passed on as it is: only a shell replaces "~"\n/,
  );
  const around = stderr.split('\n').slice(1, -1);
  assert.deepEqual(
    around.map((line) => /"([^"]+\.[a-z]+|binary)"/.exec(line)?.[1]),
    ['crlf.cgi', 'lib/perl.cgi'],
  );
});
