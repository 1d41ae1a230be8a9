/** Programs that were written for Apache, as Debian ships them, run by the real gateway. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { ask } from '../../support/client.ts';
import { folderWith, startGateway } from '../../support/gateway.ts';
import { ENGINES } from '../../support/trial.ts';

const run = promisify(execFile);

const GITWEB = '/usr/share/gitweb';
const AWSTATS = '/usr/lib/cgi-bin/awstats.pl';
const CHROMIUM = '/usr/bin/chromium';
const without = (...files: readonly string[]): string | false => {
  const missing = files.filter((file) => !existsSync(file));
  return missing.length > 0 && `needs ${missing.join(' and ')}`;
};

const listen = (engine: string): string => `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`;

const NO_FSYNC: NodeJS.ProcessEnv = {
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'core.fsync',
  GIT_CONFIG_VALUE_0: 'none',
};

/** What git may see of this machine: nothing but itself. */
function gitEnvironment(home: string): NodeJS.ProcessEnv {
  const who = (role: string): NodeJS.ProcessEnv => ({
    [`GIT_${role}_NAME`]: 'Test',
    [`GIT_${role}_EMAIL`]: 'test@board.test',
  });
  return {
    PATH: process.env['PATH'],
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    ...NO_FSYNC,
    ...who('AUTHOR'),
    ...who('COMMITTER'),
  };
}

/** A bare repository of at least `objects` objects, in `folder`/name. */
function repository(folder: string, name: string, objects: number): void {
  const env = gitEnvironment(folder);
  const git = (args: readonly string[], input = ''): string =>
    execFileSync('git', ['-C', join(folder, name), ...args], { env, input, encoding: 'utf8' });
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', join(folder, name)], { env });
  const files = Array.from({ length: objects }, (_, at) => {
    const text = `file ${at}: ${createHash('sha256').update(`${at}`).digest('hex')}\n`;
    return `M 100644 inline folder-${at % 40}/file-${at}.txt\ndata ${text.length}\n${text}`;
  });
  git(
    ['fast-import', '--quiet'],
    `commit refs/heads/main\ncommitter Test <test@board.test> 1700000000 +0000\ndata 5\nfirst\n${files.join('')}\n`,
  );
  git(['config', 'http.receivepack', 'true']);
  writeFileSync(join(folder, name, 'description'), 'the repository of the test\n');
}

for (const engine of ENGINES) {
  test(`git: clone, fetch and push over git-http-backend (${engine})`, { skip: without('/usr/bin/git') }, async (t) => {
    const folder = folderWith(t, {});
    repository(folder, 'big.git', 5000);
    const execPath = execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim();
    const running = await startGateway(t, {
      config: `${listen(engine)}[cgi."/git/"]
command = ["${execPath}/git-http-backend"]
env = { GIT_PROJECT_ROOT = "${folder}", GIT_HTTP_EXPORT_ALL = "1", HOME = "${folder}" }
limits = { body = "64MiB" }
`,
    });
    const env = { ...gitEnvironment(folder), GIT_TRACE_CURL: '1', GIT_TRACE_CURL_NO_DATA: '1' };
    const clone = join(folder, 'clone');
    const git = async (...args: readonly string[]): Promise<string> => {
      const { stdout, stderr } = await run('git', args, { env, maxBuffer: 64 << 20 });
      return stdout + stderr;
    };
    const inClone = (...args: readonly string[]): Promise<string> => git('-C', clone, ...args);

    await git('clone', '-q', '-n', running.url('/git/big.git'), clone);
    const count = (where: string): Promise<string> =>
      run('git', ['-C', where, 'rev-list', '--objects', '--all', '--count'], { env: gitEnvironment(folder) }).then(
        ({ stdout }) => stdout.trim(),
      );
    assert.ok(Number(await count(clone)) > 5000);

    // A push that is larger than http.postBuffer goes out in chunks.
    writeFileSync(
      join(clone, 'noise'),
      Buffer.concat(Array.from({ length: 30_000 }, (_, at) => createHash('sha256').update(`${at}`).digest())),
    );
    await inClone('add', 'noise');
    await inClone('commit', '-q', '-m', 'noise');
    const pushed = await inClone('-c', 'http.postBuffer=65536', 'push', '-q', 'origin', 'main');
    assert.match(pushed, /Transfer-Encoding: chunked/i);
    assert.equal(await count(join(folder, 'big.git')), await count(clone));

    // A fetch by somebody who has many commits that the server lacks: the request is long enough for gzip.
    const second = join(folder, 'second');
    await git('clone', '-q', '-n', running.url('/git/big.git'), second);
    const local = Array.from(
      { length: 200 },
      (_, at) =>
        `commit refs/heads/main\ncommitter Test <test@board.test> ${1_800_000_000 + at} +0000\ndata 5\nlocal\n${at === 0 ? 'from refs/remotes/origin/main^0\n' : ''}\n`,
    );
    execFileSync('git', ['-C', clone, 'fast-import', '--quiet', '--force'], {
      env: gitEnvironment(folder),
      input: local.join(''),
    });
    await git('-C', second, 'commit', '-q', '--allow-empty', '-m', 'theirs');
    await git('-C', second, 'push', '-q', 'origin', 'main');
    const fetched = await inClone('fetch', '-q', 'origin');
    assert.match(fetched, /Content-Encoding: gzip/i);
    assert.match(await inClone('log', '-1', '--format=%s', 'origin/main'), /theirs/);

    await git('-C', join(folder, 'big.git'), 'fsck', '--strict');
    await assert.rejects(git('clone', '-q', running.url('/git/none.git'), join(folder, 'none')), /not found/);
    assert.deepEqual(
      running.log.filter(({ level }) => level === 'error'),
      [],
    );
  });
}

const GITWEB_ROUTES = [
  [
    'as a folder with its index, its links are queries',
    (file: string) => `root = "${GITWEB}"\nindex = ["gitweb.cgi"]\nenv = { GITWEB_CONFIG = "${file}" }\n`,
    '',
  ],
  [
    'as one command, its links are paths',
    (file: string) => `command = ["${GITWEB}/gitweb.cgi"]\nenv = { GITWEB_CONFIG = "${file}" }\n`,
    `$feature{'pathinfo'}{'default'} = [1];
@stylesheets = ("/code/static/gitweb.css"); $javascript = "/code/static/gitweb.js";
$logo = "/code/static/git-logo.png"; $favicon = "/code/static/git-favicon.png";
`,
  ],
] as const;

test('gitweb in a browser', { skip: without(`${GITWEB}/gitweb.cgi`, CHROMIUM) }, async (t) => {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  t.after(() => browser.close());
  for (const [name, route, settings] of GITWEB_ROUTES) {
    await t.test(name, async (t) => {
      const folder = folderWith(t, {});
      repository(folder, 'small.git', 3);
      const file = join(folder, 'gitweb.conf');
      writeFileSync(file, `$projectroot = "${folder}";\n${settings}1;\n`);
      const running = await startGateway(t, {
        config: `${listen('auto')}[cgi."/code/"]\n${route(file)}[static."/code/static/"]\nroot = "${GITWEB}/static"\n`,
      });
      const page = await browser.newPage();
      const failed: string[] = [];
      page.on('response', (response) => {
        if (response.status() >= 400) failed.push(`${response.status()} ${response.url()}`);
      });
      page.on('pageerror', (error) => failed.push(error.message));
      const shows = async (pattern: RegExp): Promise<void> => {
        assert.match(page.url(), /^http:\/\/127\.0\.0\.1:\d+\/code\//);
        assert.match((await page.textContent('body')) ?? '', pattern);
      };
      const follow = async (link: string): Promise<void> => {
        await page.getByRole('link', { name: link, exact: true }).first().click();
        await page.waitForLoadState();
      };
      await page.goto(running.url('/code/'));
      await shows(/the repository of the test/);
      await follow('small.git');
      await shows(/first/);
      await follow('commitdiff');
      await shows(/\+file\s0:\s[0-9a-f]{64}/);
      await follow('tree');
      await follow('folder-0');
      await follow('file-0.txt');
      await shows(/file\s0:\s[0-9a-f]{64}/);
      // The style sheet is there and is taken for one.
      const background = 'getComputedStyle(document.querySelector(".page_header")).backgroundColor';
      assert.equal(await page.evaluate(background), 'rgb(217, 216, 209)');
      const links: unknown = await page.evaluate(
        '[...document.links].filter((link) => link.host === location.host).map((link) => link.pathname)',
      );
      assert.ok(Array.isArray(links) && links.length > 5);
      assert.deepEqual(
        links.filter((path) => !String(path).startsWith('/code')),
        [],
      );
      assert.deepEqual(failed, []);
      await page.close();
    });
  }
});

test('php-cgi as an interpreter: phpinfo, an upload, a session', { skip: without('/usr/bin/php-cgi') }, async (t) => {
  const running = await startGateway(t, {
    config: `${listen('auto')}[cgi."/php/"]
root = "www"
interpreters = { ".php" = "php-cgi" }
index = ["index.php"]
`,
    files: {
      'www/info.php': '<?php phpinfo();',
      'www/index.php': '<?php echo "index ", $_SERVER["SCRIPT_NAME"], "|", $_SERVER["PHP_SELF"], "|", getcwd();',
      'www/sub/index.php': '<?php echo "index ", $_SERVER["SCRIPT_NAME"];',
      'www/upload.php':
        '<?php $f = $_FILES["file"]; echo $f["name"], " ", $f["size"], " ", md5_file($f["tmp_name"]), " ", $_POST["x"];',
      'www/session.php':
        '<?php session_save_path(__DIR__); session_start(); echo $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1;',
      'www/away.php': '<?php header("Location: http://board.test/x", true, 303);',
      'www/notes.txt': 'not a script',
    },
  });
  const info = await ask(running.port, '/php/info.php?-s');
  assert.match(info.body, /<h1 class="p">PHP Version/);
  assert.match(info.body, /CGI\/FastCGI/);
  assert.match(info.body, /REQUEST_URI.*\/php\/info\.php\?-s/);
  assert.equal(
    (await ask(running.port, '/php/')).body,
    `index /php/index.php|/php/index.php|${join(running.folder, 'www')}`,
  );
  assert.equal((await ask(running.port, '/php/sub/')).body, 'index /php/sub/index.php');
  assert.equal((await ask(running.port, '/php/sub')).headers['location'], './sub/');
  const away = await ask(running.port, '/php/away.php');
  assert.deepEqual([away.status, away.headers['location']], [303, 'http://board.test/x']);
  assert.deepEqual(await statuses(running.port, ['/php/notes.txt', '/php/none.php']), [403, 404]);
  const content = Buffer.alloc(1_000_000, 'upload ');
  const { body, headers } = multipart(content);
  const uploaded = await ask(running.port, '/php/upload.php', { method: 'POST', headers, body });
  assert.equal(uploaded.body, `a.bin 1000000 ${createHash('md5').update(content).digest('hex')} y`);
  const first = await ask(running.port, '/php/session.php');
  const cookie = /PHPSESSID=\w+/.exec(String(first.headers['set-cookie']))?.[0] ?? '';
  assert.equal((await ask(running.port, '/php/session.php', { headers: { cookie } })).body, '2');
});

const CGI_PM = `#!/usr/bin/perl
use strict; use warnings; use CGI;
my $q = CGI->new;
if (my $file = $q->upload('file')) {
  binmode $file; local $/; my $bytes = <$file>;
  print $q->header('text/plain'), length($bytes), ' ', scalar $q->param('x');
} elsif ($q->path_info eq '/away') {
  print $q->redirect(-uri => $q->url(-absolute => 1) . '/there', -status => 303);
} else {
  my @cookies = map { $q->cookie(-name => $_, -value => "value $_") } qw(one two);
  print $q->header(-type => 'text/html', -charset => 'utf-8', -status => '203 Mine', -cookie => \\@cookies, -expires => '+1h'),
    $q->start_html('CGI.pm'), $q->p($q->escapeHTML(scalar $q->param('name'))), $q->p($q->self_url), $q->end_html;
}
`;

test('Perl with CGI.pm: parameters, cookies, an upload, a redirect', { skip: await withoutCgiPm() }, async (t) => {
  const running = await startGateway(t, {
    config: `${listen('auto')}[cgi."/cgi-bin/"]\nroot = "cgi-bin"\n[cgi."/by-extension/"]\nroot = "plain"\ninterpreters = { ".pl" = "/usr/bin/perl" }\n`,
    files: { 'cgi-bin/form.pl': CGI_PM, 'plain/form.pl': CGI_PM.replace(/^#!.*\n/, '') },
  });
  for (const path of ['/cgi-bin/form.pl', '/by-extension/form.pl']) {
    const page = await ask(running.port, `${path}?name=%3Cb%3E`);
    assert.equal(page.status, 203);
    assert.deepEqual(page.headers['set-cookie'], ['one=value%20one; path=/', 'two=value%20two; path=/']);
    assert.match(page.body, /<p>&lt;b&gt;<\/p>/);
    assert.ok(page.body.includes(`<p>http://127.0.0.1:${running.port}${path}?name=%3Cb%3E</p>`), page.body);
    const { body, headers } = multipart(Buffer.alloc(300_000, 'z'));
    assert.equal((await ask(running.port, path, { method: 'POST', headers, body })).body, '300000 y');
    const away = await ask(running.port, `${path}/away`);
    assert.deepEqual([away.status, away.headers['location']], [303, `${path}/there`]);
  }
});

test('awstats: the report of a log', { skip: without(AWSTATS) }, async (t) => {
  const line = (path: string, at: number): string =>
    `192.0.2.${at} - - [01/Feb/2024:10:00:0${at} +0000] "GET ${path} HTTP/1.1" 200 1000 "-" "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"\n`;
  const folder = folderWith(t, { 'access.log': line('/sensors.html', 1) + line('/index.html', 2) });
  writeFileSync(
    join(folder, 'awstats.board.conf'),
    `LogFile="${folder}/access.log"\nLogType=W\nLogFormat=1\nSiteDomain="board.test"\nHostAliases="localhost"\nDNSLookup=0\nDirData="${folder}"\nDirIcons="/icons"\nLang="en"\n`,
  );
  const env = { PATH: process.env['PATH'] ?? '', AWSTATS_ENABLE_CONFIG_DIR: folder };
  await run('perl', [AWSTATS, '-config=board', `-configdir=${folder}`, '-update'], { env });
  const running = await startGateway(t, {
    config: `${listen('auto')}[cgi."/stats/awstats.pl"]\ncommand = ["${AWSTATS}"]\nenv = { AWSTATS_ENABLE_CONFIG_DIR = "${folder}" }\n`,
  });
  const page = await ask(
    running.port,
    `/stats/awstats.pl?config=board&configdir=${folder}&year=2024&month=02&framename=mainright`,
  );
  assert.equal(page.status, 200, page.body);
  assert.match(page.body, /Statistics for board\.test/);
  assert.match(page.body, /\/sensors\.html/);
  assert.match(page.body, /192\.0\.2\.1/);
  assert.ok([...page.body.matchAll(/href="(awstats\.pl\?[^"]*)"/g)].length > 3, 'its links are relative to itself');
});

function multipart(content: Buffer): { readonly body: Buffer; readonly headers: { readonly [name: string]: string } } {
  const field = (name: string): string => `--xx\r\nContent-Disposition: form-data; name="${name}"`;
  const head = `${field('x')}\r\n\r\ny\r\n${field('file')}; filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  return {
    body: Buffer.concat([Buffer.from(head), content, Buffer.from('\r\n--xx--\r\n')]),
    headers: { 'Content-Type': 'multipart/form-data; boundary=xx' },
  };
}

async function statuses(port: number, paths: readonly string[]): Promise<readonly number[]> {
  const replies = await Promise.all(paths.map((path) => ask(port, path)));
  return replies.map(({ status }) => status);
}

async function withoutCgiPm(): Promise<string | false> {
  return run('/usr/bin/perl', ['-MCGI', '-e1']).then(
    () => false as const,
    () => 'needs CGI.pm',
  );
}
