/** `runnel init` on machines that are made of a few folders: what it finds, and that `check` accepts what it prints. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { writeConfiguration } from '../../../src/cli/init/configuration.ts';
import { lookAround, type Machine } from '../../../src/cli/init/machine.ts';
import { type TakenPort, takenPorts } from '../../../src/ops/system/ports.ts';
import { makeSelfSignedServer } from '../../../src/tls/making/lan.ts';
import { ask } from '../../support/client.ts';
import { folderWith, runnel, startRunnel } from '../../support/gateway.ts';
import { startPeer } from '../../support/peer.ts';

const SCRIPT = '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nhello\\n"\n';
const PAGE = '<!doctype html><title>board</title>';
const { certificate, key } = makeSelfSignedServer(['board.example.org'], Date.now());

interface Found {
  /** What is printed. */
  readonly text: string;
  /** The same without comments. */
  readonly active: string;
  readonly folder: string;
  check(): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

async function initOn(
  t: TestContext,
  files: { readonly [path: string]: string },
  taken: readonly TakenPort[] = [],
): Promise<Found> {
  const folder = folderWith(t, files);
  const text = writeConfiguration(lookAround(folder), taken);
  const kept = folderWith(t, { 'runnel.toml': text });
  return {
    text,
    folder,
    active: text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .join('\n'),
    check: () => runnel(['check'], kept),
  };
}

test('a board with a folder of pages and one of programs', async (t) => {
  const found = await initOn(t, {
    'www/index.html': PAGE,
    'www/cgi-bin/hello.cgi': SCRIPT,
    'usr/lib/cgi-bin/old': SCRIPT,
  });
  const { folder } = found;
  assert.equal(
    found.active,
    `[[listen]]\naddress = "127.0.0.1:8080"\n[static."/"]\nroot = "${folder}/www"\n[cgi."/cgi-bin/"]\nroot = "${folder}/usr/lib/cgi-bin"`,
  );
  assert.match(found.text, /# CGI programs: .*usr\/lib\/cgi-bin, because it is there\. It has old\./);
  assert.match(found.text, /# Another folder of programs is .*\/www\/cgi-bin: it is there\./);
  assert.match((await found.check()).stdout, /^ok: 127\.0\.0\.1:8080; 2 routes/);
});

const SERVED: readonly [name: string, file: string, content: string, cgi: boolean][] = [
  ['lighttpd', 'etc/lighttpd/lighttpd.conf', 'server.document-root        = "/data/pages"\n', false],
  [
    'lighttpd',
    'etc/lighttpd/conf-enabled/10-cgi.conf',
    'server.document-root = "/data/pages/"\nalias.url += ( "/cgi-bin/" => "/data/programs/" )\n',
    true,
  ],
  [
    'nginx',
    'etc/nginx/sites-enabled/default',
    'server {\n\troot /data/pages;\n\tlocation / { root $other; }\n}\n',
    false,
  ],
  [
    'Apache',
    'etc/apache2/sites-enabled/000-default.conf',
    '  DocumentRoot /data/pages\n  ScriptAlias /cgi-bin/ "/data/programs/"\n',
    true,
  ],
  [
    'boa',
    'etc/boa/boa.conf',
    '# DocumentRoot /elsewhere\nDocumentRoot /data/pages\nScriptAlias /cgi-bin/ /data/programs/\n',
    true,
  ],
  ['thttpd', 'etc/thttpd/thttpd.conf', 'port=80\ndir=/data/pages\n', false],
  ['BusyBox httpd', 'etc/httpd.conf', 'A:*\nH:/data/pages\n', false],
  ['uhttpd', 'etc/config/uhttpd', "config uhttpd main\n\toption home '/data/pages'\n", false],
];

for (const [name, file, content, cgi] of SERVED)
  test(`what ${name} serves comes before the usual folders (${file})`, async (t) => {
    const found = await initOn(t, {
      [file]: content,
      'data/pages/index.html': PAGE,
      'data/programs/hello': SCRIPT,
      'var/www/html/index.html': PAGE,
      'usr/lib/cgi-bin/old': SCRIPT,
    });
    assert.match(found.text, new RegExp(`# Pages: .*/data/pages, because ${name} is configured to serve it`));
    assert.match(found.active, new RegExp(`root = "${found.folder}/${cgi ? 'data/programs' : 'usr/lib/cgi-bin'}"$`));
    assert.equal((await found.check()).code, 0);
  });

test('a machine with nothing: a stream that works, and the rest as comments', async (t) => {
  const found = await initOn(t, {});
  assert.match(found.active, /^\[\[listen\]\]\naddress = "127\.0\.0\.1:8080"\n\[stream\."\/live\/load"\]/);
  assert.match(found.text, /# No pages were found/);
  assert.match((await found.check()).stdout, /1 route/);
  const file = found.text.replace('127.0.0.1:8080', '127.0.0.1:0');
  const running = await startRunnel(t, ['serve'], { folder: folderWith(t, { 'runnel.toml': file }) });
  assert.equal((await ask(running.port, '/live/load', { method: 'HEAD' })).status, 200);
});

test('a certificate is used; one that cannot be is a comment that says why', async (t) => {
  const pages = { 'srv/http/index.html': PAGE };
  const live = (name: string) => `etc/letsencrypt/live/${name}`;
  const good = await initOn(t, {
    ...pages,
    [`${live('board.example.org')}/fullchain.pem`]: certificate,
    [`${live('board.example.org')}/privkey.pem`]: key,
    [`${live('other.example.org')}/fullchain.pem`]: certificate,
    [`${live('README')}`]: 'not a folder',
  });
  assert.match(
    good.active,
    /address = "127\.0\.0\.1:8443"\ntls = \{ certificate = ".*fullchain\.pem", key = ".*privkey\.pem" \}/,
  );
  assert.match(good.text, /There are certificates for other\.example\.org too/);
  const checked = await good.check();
  assert.equal(checked.code, 0, checked.stderr);
  const bad = await initOn(t, {
    ...pages,
    [`${live('a')}/fullchain.pem`]: certificate,
    [`${live('a')}/privkey.pem`]: 'nonsense',
  });
  assert.doesNotMatch(bad.active, /tls/);
  assert.match(
    bad.text,
    /# Not used as it is: there is no private key in .*privkey\.pem.*\n# \[\[listen\]\]\n# address = "127\.0\.0\.1:8443"/,
  );
  assert.equal((await bad.check()).code, 0);
});

test('ports that are taken are named, and others are used', async (t) => {
  const found = await initOn(t, { 'www/index.html': PAGE }, [
    { port: 80, program: 'lighttpd' },
    { port: 8080, program: undefined },
    { port: 8081, program: 'java' },
    { port: 9180, program: 'evil\nname' },
    { port: 40_000, program: 'node' },
  ]);
  assert.match(found.active, /address = "127\.0\.0\.1:8082"/);
  assert.match(found.text, /# Port 80 is taken by lighttpd: stop that first/);
  assert.match(found.text, /# Ports taken now: 80 \(lighttpd\), 8080, 8081 \(java\), 9180 \(evil\\u000aname\)\.\n/);
  assert.match(found.text, /# listen = "127\.0\.0\.1:9181"/);
  assert.equal((await found.check()).code, 0);
});

test('PHP is not served as it is', async (t) => {
  const found = await initOn(t, { 'www/index.php': '<?php secret();', 'www/index.html': PAGE });
  assert.doesNotMatch(found.active, /static/);
  assert.match(found.text, /# Not used as it is: it has PHP files, whose source anybody could read\.\n# \[static/);
  assert.equal((await found.check()).code, 0);
});

test('names that are no names for TOML or a terminal', async (t) => {
  const found = await initOn(t, {
    'etc/thttpd.conf': 'dir=/da"ta\\x\x1b[31m\n',
    'da"ta\\x\x1b[31m/index.html': PAGE,
    'usr/lib/cgi-bin/a\nb\x1b[0m': SCRIPT,
  });
  assert.doesNotMatch(found.text, /\x1b/);
  const checked = await found.check();
  assert.equal(checked.code, 0, `${checked.stderr}${found.text}`);
  assert.match(checked.stdout, /2 routes/);
});

test('what may not be looked at is named', () => {
  const machine: Machine = { cgi: [], roots: [], certificates: [], closed: ['/etc/letsencrypt/live'], users: [] };
  assert.match(
    writeConfiguration(machine, []),
    /# Not looked at, because you may not read it: \/etc\/letsencrypt\/live\. "sudo runnel init" may\./,
  );
});

test('everything that is a comment is right as well', async (t) => {
  const found = await initOn(t, { 'etc/passwd': 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' });
  const all = found.text
    .split('\n')
    .map((line) => line.replace(/^# (?=\[|[a-z_]+ = )/, ''))
    .join('\n');
  const pages = folderWith(t, { 'pages/index.html': PAGE, 'programs/hello': SCRIPT });
  const text = all.replace('/srv/pages', join(pages, 'pages')).replace('/usr/lib/cgi-bin', join(pages, 'programs'));
  const checked = await runnel(['check'], folderWith(t, { 'runnel.toml': text }));
  assert.equal(checked.code, 0, `${checked.stderr}${text}`);
  assert.match(checked.stdout, /3 routes/);
});

test('on this machine: the real program, and its check', async (t) => {
  const folder = folderWith(t, {});
  const { code, stdout, stderr } = await runnel(['init'], folder);
  assert.deepEqual([code, stderr], [0, '']);
  writeFileSync(join(folder, 'runnel.toml'), stdout);
  const checked = await runnel(['check'], folder);
  assert.equal(checked.code, 0, checked.stderr);
});

test('the ports of this machine, with our own and whose it is', async (t) => {
  const { port } = await startPeer(t, (socket) => socket.end());
  const own = takenPorts().find((each) => each.port === port);
  assert.ok(own?.program !== undefined && own.program !== '', JSON.stringify(own));
});

test('what other servers are configured to serve: quotes, one line, comments, and parts of a path that are none', async (t) => {
  const nginx = (root: string) => ({ 'srv/a page/index.html': PAGE, 'etc/nginx/nginx.conf': root });
  for (const root of [`server { listen 80; root "/srv/a page"; }`, `server {\n  root '/srv/a page' ;\n}`]) {
    const found = await initOn(t, nginx(root));
    assert.match(found.active, /root = ".*\/srv\/a page"/, root);
    assert.equal((await found.check()).code, 0);
  }
  for (const root of ['# root /srv;', 'root /srv$host;', 'root /;', 'root //./;', 'root "/srv$x";']) {
    const found = await initOn(t, nginx(`server {\n ${root}\n}`));
    assert.doesNotMatch(found.active, /\[static/, root);
    assert.doesNotMatch(found.text, /Not used as it is: there is no route/);
  }
  const lighttpd = await initOn(t, {
    'srv/www/index.html': PAGE,
    'etc/lighttpd/lighttpd.conf': 'server.document-root = "/srv" + "/www"\n',
  });
  assert.doesNotMatch(lighttpd.active, /\[static/);
  const apache = await initOn(t, {
    'srv/a page/index.html': PAGE,
    'etc/apache2/sites-enabled/000.conf': '<VirtualHost *:80>\n  DocumentRoot "/srv/a page"\n</VirtualHost>\n',
  });
  assert.match(apache.active, /root = ".*\/srv\/a page"/);
});
