/** The containment function attacked: what each path gets, on a real folder with links in and out. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isHidden, isWithin, locate, locateProgram } from '../../src/files/locate.ts';
import { FileRefusal, segmentsOf } from '../../src/files/segments.ts';
import { bytesOf, canonicalPath, pathBelow, ROOT_PATH } from '../../src/routing/canonical-path.ts';

const base = mkdtempSync(join(tmpdir(), 'runnel-locate-'));
const root = join(base, 'www');
mkdirSync(root);
mkdirSync(join(base, 'www-secret'));
after(() => rmSync(base, { recursive: true, force: true }));

function moduleUrl(name: string): string {
  return new URL(`../../src/${name}.js`, import.meta.url).href;
}

function put(name: string, text = name): void {
  const path = join(root, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
}

writeFileSync(join(base, 'secret.txt'), 'secret');
writeFileSync(join(base, 'www-secret', 'key.txt'), 'secret');
for (const name of [
  'index.html',
  'a b.txt',
  'a+b.txt',
  'a#b.txt',
  'a?b.txt',
  'a%b.txt',
  'a%2fb.txt',
  '%2e%2e',
  'ü.txt',
  '😀.txt',
  'line\nbreak.txt',
  'back\\slash.txt',
  'name..txt',
  'dots...',
  '...',
  'a:b;c=d&e.txt',
  "quote'.txt",
  'sub/page.html',
  'sub/.hidden/x.txt',
  'sub/deep/er/x.txt',
  '.env',
  '.git/config',
  '.well-known/acme-challenge/token',
  '.well-known/.secret',
]) {
  put(name);
}
symlinkSync('index.html', join(root, 'link-in.html'));
symlinkSync('sub', join(root, 'folder-in'));
symlinkSync('../secret.txt', join(root, 'link-out.txt'));
symlinkSync(join(base, 'secret.txt'), join(root, 'link-out-absolute.txt'));
symlinkSync('..', join(root, 'folder-out'));
symlinkSync('../www-secret', join(root, 'neighbour'));
symlinkSync('../www', join(root, 'out-and-in'));
symlinkSync('loop', join(root, 'loop'));
symlinkSync('gone', join(root, 'dangling'));
symlinkSync('/dev/null', join(root, 'device'));
symlinkSync('/proc/self/environ', join(root, 'proc'));
symlinkSync('link-out.txt', join(root, 'link-to-link-out.txt'));
execFileSync('mkfifo', [join(root, 'fifo')]);

const LONG = 'a'.repeat(300);
/** Path below the root as sent → the file's content, "folder", or the status of the refusal. */
const PATHS: readonly (readonly [path: string, gets: string | number])[] = [
  // What is to be served
  ['', 'folder'],
  ['index.html', 'index.html'],
  ['%69ndex%2ehtml', 'index.html'],
  ['/index.html', 'index.html'],
  ['//index.html', 'index.html'],
  ['sub', 'folder'],
  ['sub/', 'folder'],
  ['sub//page.html', 'sub/page.html'],
  ['sub/deep/er/x.txt', 'sub/deep/er/x.txt'],
  ['a%20b.txt', 'a b.txt'],
  ['a b.txt', 400],
  ['a+b.txt', 'a+b.txt'],
  ['a%2Bb.txt', 'a+b.txt'],
  ['a%23b.txt', 'a#b.txt'],
  ['a%3Fb.txt', 'a?b.txt'],
  ['a%25b.txt', 'a%b.txt'],
  ['%C3%BC.txt', 'ü.txt'],
  ['%c3%bc.txt', 'ü.txt'],
  ['ü.txt', 'ü.txt'],
  ['%F0%9F%98%80.txt', '😀.txt'],
  ['😀.txt', '😀.txt'],
  ['name..txt', 'name..txt'],
  ['a:b;c=d&e.txt', 'a:b;c=d&e.txt'],
  ["quote'.txt", "quote'.txt"],
  ['quote%27.txt', "quote'.txt"],
  ['dots...', 'dots...'],
  ['.well-known/acme-challenge/token', '.well-known/acme-challenge/token'],
  ['link-in.html', 'index.html'],
  ['folder-in/page.html', 'sub/page.html'],
  ['out-and-in/index.html', 'index.html'],
  // Decoded once and only once
  ['%252e%252e', '%2e%2e'],
  ['a%252fb.txt', 'a%2fb.txt'],
  ['%252e%252e/secret.txt', 404],
  ['%25252e%25252e/secret.txt', 404],
  // Dot segments, in every dress: resolved before anything is decided, and never above the root
  ['..', 400],
  ['../secret.txt', 400],
  ['../../../../../../etc/passwd', 400],
  ['%2e%2e/secret.txt', 400],
  ['%2E%2E/secret.txt', 400],
  ['.%2e/secret.txt', 400],
  ['%2e./secret.txt', 400],
  ['%2e%2e/etc/passwd', 400],
  ['sub/../index.html', 'index.html'],
  ['sub/../../secret.txt', 400],
  ['sub/..', 'folder'],
  ['sub/../', 'folder'],
  ['./index.html', 'index.html'],
  ['%2e/index.html', 'index.html'],
  ['sub/./page.html', 'sub/page.html'],
  ['sub/.', 'folder'],
  ['...', 404],
  ['.../secret.txt', 404],
  ['....//secret.txt', 404],
  ['.. /secret.txt', 400],
  ['..%20/secret.txt', 404],
  ['..;/secret.txt', 404],
  ['/..//../secret.txt', 400],
  ['../www/index.html', 400],
  ['../www-secret/key.txt', 400],
  // Encoded slashes and backslashes
  ['..%2fsecret.txt', 404],
  ['..%2Fsecret.txt', 404],
  ['sub%2fpage.html', 404],
  ['%2fetc%2fpasswd', 404],
  ['/etc/passwd', 404],
  ['%2e%2e%2fsecret.txt', 404],
  ['..\\secret.txt', 400],
  ['..%5csecret.txt', 400],
  ['..%5Csecret.txt', 400],
  ['%5c..%5csecret.txt', 400],
  ['back%5cslash.txt', 400],
  ['back\\slash.txt', 400],
  ['..%255csecret.txt', 404],
  // Bytes that are no text, and escapes that are none
  ['a%00b', 400],
  ['index.html%00', 400],
  ['index.html%00.png', 400],
  ['../secret.txt%00.html', 400],
  ['%', 400],
  ['%2', 400],
  ['%zz', 400],
  ['%u002e%u002e/secret.txt', 400],
  ['a%', 400],
  ['%c0%ae%c0%ae/secret.txt', 400],
  ['%c0%af', 400],
  ['%e0%80%ae', 400],
  ['%f0%80%80%ae', 400],
  ['%c3', 400],
  ['%ff', 400],
  ['%fc', 400],
  ['%ed%a0%80', 400],
  ['%f4%90%80%80', 400],
  ['\ufffd.txt', 404],
  ['line%0abreak.txt', 400],
  ['a%0d%0aX: y', 400],
  ['a\tb', 400],
  ['a%7f', 400],
  ['a%1b', 400],
  // Lookalikes that are plain names here
  ['\uff0e\uff0e/secret.txt', 404],
  ['..\u2215secret.txt', 404],
  ['%e2%80%a5/secret.txt', 404],
  // Hidden
  ['.env', 404],
  ['%2eenv', 404],
  ['.git', 404],
  ['.git/config', 404],
  ['sub/.hidden/x.txt', 404],
  ['.well-known/.secret', 404],
  ['.well-known', 'folder'],
  ['.Well-Known/acme-challenge/token', 404],
  // Links and other things
  ['link-out.txt', 404],
  ['link-out-absolute.txt', 404],
  ['link-to-link-out.txt', 404],
  ['folder-out', 404],
  ['folder-out/secret.txt', 404],
  ['folder-out/www/index.html', 'index.html'],
  ['neighbour/key.txt', 404],
  ['loop', 404],
  ['loop/x', 404],
  ['dangling', 404],
  ['device', 404],
  ['proc', 404],
  ['fifo', 404],
  // Not there, and not as it is
  ['missing', 404],
  ['missing/index.html', 404],
  ['index.html/x', 404],
  ['index.html.', 404],
  ['index.html ', 400],
  ['INDEX.HTML', 404],
  ['index.html::$DATA', 404],
  [LONG, 404],
  [`${'sub/'.repeat(1200)}x`, 404],
  ['sub/'.repeat(2), 404],
];

/** As the pipeline and a handler do it together. */
function segmentsBelow(path: string): string[] {
  const canonical = canonicalPath(bytesOf(`/${path}`));
  if (canonical === undefined) throw new FileRefusal(400, 'no canonical form');
  return segmentsOf(pathBelow(canonical, ROOT_PATH));
}

async function outcome(path: string): Promise<string | number> {
  try {
    const located = await locate(root, segmentsBelow(path));
    try {
      if (located.kind === 'folder') return 'folder';
      const descriptor = await located.open();
      const text = readFileSync(descriptor, 'utf8');
      closeSync(descriptor);
      return text;
    } finally {
      await located.release();
    }
  } catch (error) {
    if (error instanceof FileRefusal) return error.status;
    throw error;
  }
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

test('every path gets what it should, and no descriptor is left', async (t) => {
  await outcome('index.html');
  const before = descriptors();
  for (const [path, gets] of PATHS) {
    await t.test(JSON.stringify(path).slice(0, 60), async () => assert.equal(await outcome(path), gets));
  }
  assert.equal(descriptors(), before);
  assert.ok(PATHS.length >= 60);
});

test('a folder that may not be entered, and one that may not be read, are 403', async () => {
  put('closed/x.txt');
  put('unread/x.txt');
  const [closed, unread] = [join(root, 'closed'), join(root, 'unread')];
  chmodSync(base, 0o755);
  chmodSync(closed, 0);
  chmodSync(unread, 0o711);
  // The kernel lets root in everywhere: what is to be seen here is seen by somebody else.
  const script = `
    const { locate } = await import(${JSON.stringify(moduleUrl('files/locate'))});
    const { FolderListing } = await import(${JSON.stringify(moduleUrl('files/listing'))});
    if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
    const root = ${JSON.stringify(root)};
    const asked = [locate(root, ['closed', 'x.txt']), FolderListing.open(root, ['closed', '']), FolderListing.open(root, ['unread', '']), locate(root, ['unread', 'x.txt'])];
    for (const { reason, value } of await Promise.allSettled(asked)) console.log(reason?.status ?? value?.kind);`;
  const said = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  assert.deepEqual(said.trim().split('\n'), ['403', '403', '403', 'file']);
  chmodSync(closed, 0o755);
});

test('a file that is swapped for a link out after the check is not followed', async () => {
  put('swap.txt', 'inside');
  const located = await locate(root, ['swap.txt']);
  unlinkSync(join(root, 'swap.txt'));
  symlinkSync('../secret.txt', join(root, 'swap.txt'));
  const descriptor = await located.open();
  assert.equal(readFileSync(descriptor, 'utf8'), 'inside');
  closeSync(descriptor);
  await located.release();
  assert.equal(await outcome('swap.txt'), 404);
});

test('a folder on the way that keeps being swapped for a link out never shows the outside', async () => {
  put('turn/secret.txt', 'inside');
  const turn = join(root, 'turn');
  let swapping = true;
  const swapper = (async () => {
    while (swapping) {
      renameSync(turn, `${turn}-kept`);
      symlinkSync('..', turn);
      await new Promise(setImmediate);
      unlinkSync(turn);
      renameSync(`${turn}-kept`, turn);
      await new Promise(setImmediate);
    }
  })();
  const seen = new Set<string | number>();
  for (let round = 0; round < 500; round++) seen.add(await outcome('turn/secret.txt'));
  swapping = false;
  await swapper;
  assert.ok(!seen.has('secret'), [...seen].join());
});

test('a root that is itself a link is followed, also when it changes', async () => {
  const current = join(base, 'current');
  symlinkSync('www', current);
  const first = await locate(current, ['index.html']);
  await first.release();
  unlinkSync(current);
  symlinkSync('www-secret', current);
  const second = await locate(current, ['key.txt']);
  await second.release();
  assert.equal(second.kind, 'file');
});

test('isWithin knows the separator', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['/srv/www', '/srv/www', true],
    ['/srv/www', '/srv/www/x', true],
    ['/srv/www', '/srv/www-secret', false],
    ['/srv/www', '/srv', false],
    ['/srv/www', '/', false],
    ['/', '/etc', true],
    ['/', '/', true],
  ];
  for (const [folder, path, within] of cases) assert.equal(isWithin(folder, path), within, `${folder} ${path}`);
});

test('isHidden spares .well-known', () => {
  assert.deepEqual(['.git', '.', '..', '.well-known', 'a.b'].map(isHidden), [true, true, true, false, false]);
});

test('a program is the first file on the way; the rest is PATH_INFO', async (t) => {
  put('cgi/hello', '#!');
  put('cgi/sub/deep.cgi', '#!');
  const programs = join(root, 'cgi');
  symlinkSync('../../secret.txt', join(programs, 'out.cgi'));
  const cases: readonly (readonly [path: string, gets: readonly [string, string] | number | 'folder'])[] = [
    ['hello', ['hello', '']],
    ['hello/', ['hello', '/']],
    ['hello/a/b', ['hello', '/a/b']],
    ['hello/a//b/', ['hello', '/a/b/']],
    ['hello/%c3%bc%20x', ['hello', '/ü x']],
    ['hello/.git/config', ['hello', '/.git/config']],
    ['/hello/x', ['hello', '/x']],
    ['sub/deep.cgi/x', ['sub/deep.cgi', '/x']],
    ['sub//deep.cgi', ['sub/deep.cgi', '']],
    ['hello/../x', 404],
    ['hello/%2e%2e/x', 404],
    ['hello/a%2fb', 404],
    ['hello/a%00', 400],
    ['', 'folder'],
    ['sub', 'folder'],
    ['sub/', 'folder'],
    ['missing', 404],
    ['sub/missing/x', 404],
    ['out.cgi', 404],
    ['out.cgi/x', 404],
    ['.hidden', 404],
  ];
  for (const [path, gets] of cases) {
    await t.test(JSON.stringify(path), async () => {
      try {
        const found = await locateProgram(programs, segmentsBelow(path));
        if (found === undefined) {
          assert.equal(gets, 'folder');
          return;
        }
        assert.deepEqual([found.file.slice(programs.length + 1), found.pathInfo], gets);
        assert.equal(found.script.filter((segment) => segment !== '').join('/'), Array.isArray(gets) ? gets[0] : '');
      } catch (error) {
        if (!(error instanceof FileRefusal)) throw error;
        assert.equal(error.status, gets);
      }
    });
  }
});
