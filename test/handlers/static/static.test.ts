/** Static files through the real gateway, over real sockets, on both engines. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ask } from '../../support/client.ts';
import { startRunnel } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';
import type { RawReply } from '../../support/raw.ts';
import { BROWSER, get, type Headers, onBoth, serve } from '../../support/static-site.ts';

/** The parts of a multipart/byteranges body: Content-Range and bytes. */
function partsOf(reply: RawReply): readonly (readonly [range: string, type: string, bytes: Buffer])[] {
  const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(reply.header('content-type') ?? '')?.[1];
  assert.ok(boundary);
  const pieces = reply.body.toString('latin1').split(`--${boundary}`);
  assert.equal(pieces.shift(), '');
  assert.equal(pieces.pop(), '--\r\n');
  return pieces.map((piece) => {
    const match = /^\r\ncontent-type: (.*)\r\ncontent-range: bytes (.*)\r\n\r\n([\s\S]*)\r\n$/.exec(piece);
    return [match?.[2] ?? '', match?.[1] ?? '', Buffer.from(match?.[3] ?? '', 'latin1')];
  });
}

describe('containment over sockets', () => {
  const PATHS: readonly (readonly [path: string, status: number])[] = [
    ['/../secret.txt', 400],
    ['/a/../../secret.txt', 400],
    ['/%2e%2e/secret.txt', 400],
    ['/.%2E/secret.txt', 400],
    ['/%252e%252e/secret.txt', 404],
    ['/..%2fsecret.txt', 404],
    ['/..%5csecret.txt', 400],
    ['/%c0%ae%c0%ae/secret.txt', 400],
    ['/secret.txt%00.html', 400],
    ['/..;/secret.txt', 404],
    ['/.../secret.txt', 404],
    ['/link-out.txt', 404],
    ['/folder-out/secret.txt', 404],
    ['/folder-out/', 404],
    ['/%2e%67it/config', 404],
    ['/%0abreak.txt', 400],
    ['/%', 400],
    ['//etc/passwd', 404],
  ];

  test('nothing leaves the root', async (t) => {
    const gateway = await serve(t, 'listing = true', { '.git/config': 'secret', '\nbreak.txt': 'secret' });
    writeFileSync(join(gateway.folder, 'secret.txt'), 'secret');
    symlinkSync('../secret.txt', join(gateway.root, 'link-out.txt'));
    symlinkSync('..', join(gateway.root, 'folder-out'));
    await onBoth(t, gateway, async (port) => {
      for (const [path, status] of PATHS) {
        const reply = await get(port, path);
        assert.equal(reply.status, status, path);
        assert.doesNotMatch(reply.body.toString(), /secret/, path);
      }
      const listed = (await get(port, '/')).body.toString();
      assert.doesNotMatch(listed, /out|\.git|break/);
    });
  });

  test('a file and a folder that keep being swapped for links out never show the outside', async (t) => {
    // Too large for the cache: each request opens the file.
    const inside = Buffer.alloc(200_000, 'inside');
    const gateway = await serve(t, '', { 'turn/key.txt': inside, 'file.txt': inside });
    const outside = join(gateway.folder, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'key.txt'), Buffer.alloc(200_000, 'secret'));
    const swaps = [join(gateway.root, 'turn'), join(gateway.root, 'file.txt')];
    symlinkSync('../outside', `${swaps[0]}-link`);
    symlinkSync('../outside/key.txt', `${swaps[1]}-link`);
    let swapping = true;
    const swapper = (async () => {
      while (swapping) {
        for (const path of swaps) {
          renameSync(path, `${path}-kept`);
          renameSync(`${path}-link`, path);
        }
        await new Promise(setImmediate);
        for (const path of swaps) {
          renameSync(path, `${path}-link`);
          renameSync(`${path}-kept`, path);
        }
        await new Promise(setImmediate);
      }
    })();
    const seen = new Map<string, number>();
    for (let round = 0; round < 300; round++) {
      for (const [index, path] of ['/turn/key.txt', '/file.txt'].entries()) {
        const reply = await get(gateway.ports[(round + index) % 2] ?? 0, path, { Range: 'bytes=0-5' });
        const key = `${reply.status} ${reply.status === 206 ? reply.body : ''}`;
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
    }
    swapping = false;
    await swapper;
    t.diagnostic(JSON.stringify([...seen]));
    assert.deepEqual(
      [...seen.keys()].filter((key) => key !== '206 inside' && key !== '404 '),
      [],
    );
  });

  test('what is neither file nor folder is refused and not waited for', async (t) => {
    const gateway = await serve(t, 'listing = true', {});
    execFileSync('mkfifo', [join(gateway.root, 'fifo')]);
    symlinkSync('/dev/zero', join(gateway.root, 'zero'));
    await onBoth(t, gateway, async (port) => {
      for (const path of ['/fifo', '/zero']) assert.equal((await get(port, path)).status, 404, path);
      assert.doesNotMatch((await get(port, '/')).body.toString(), /fifo|zero/);
    });
  });
});

describe('ranges over sockets', () => {
  const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255));

  for (const [name, bytes] of [['large.bin', content], ['small.txt', content.subarray(0, 1000)]] as const) // biome-ignore format: one line
    test(name, async (t) => {
      const gateway = await serve(t, '', { [name]: bytes });
      utimesSync(join(gateway.root, name), 1_700_000_000, 1_700_000_000);
      const size = bytes.length;
      await onBoth(t, gateway, async (port) => {
        const ranged = (range: string, more: Headers = {}) => get(port, `/${name}`, { Range: range, ...more });
        const single: readonly (readonly [range: string, start: number, end: number])[] = [
          ['bytes=0-0', 0, 1],
          ['bytes=-5', size - 5, size],
          ['bytes=-999999', 0, size],
          ['bytes=10-', 10, size],
          ['bytes=990-9999999', 990, size],
          ['bytes=5-9,0-6,8-20', 0, 21],
          [`bytes=${Array.from({ length: 100 }, (_, i) => `${i}-${i + 5}`).join()}`, 0, 105],
        ];
        for (const [range, start, end] of single) {
          const reply = await ranged(range);
          assert.equal(reply.status, 206, range);
          assert.equal(reply.header('content-range'), `bytes ${start}-${end - 1}/${size}`);
          assert.ok(reply.body.equals(bytes.subarray(start, end)), range);
        }
        const several = await ranged('bytes=-3,0-1, 500-509,700000-');
        assert.equal(several.status, 206);
        assert.equal(several.header('content-range'), undefined);
        assert.equal(several.header('content-length'), String(several.body.length));
        const type = name === 'small.txt' ? 'text/plain' : 'application/octet-stream';
        assert.deepEqual(partsOf(several), [
          [`${size - 3}-${size - 1}/${size}`, type, bytes.subarray(-3)],
          [`0-1/${size}`, type, bytes.subarray(0, 2)],
          [`500-509/${size}`, type, bytes.subarray(500, 510)],
        ]);
        const hundred = await ranged(`bytes=${Array.from({ length: 100 }, (_, i) => `${i * 9}-${i * 9 + 1}`).join()}`);
        assert.equal(partsOf(hundred).length, 100);
        assert.equal(hundred.header('content-length'), String(hundred.body.length));
        for (const range of [`bytes=${'0-1,'.repeat(200)}`, 'bytes=x', 'lines=1-2']) {
          const reply = await ranged(range);
          assert.deepEqual([reply.status, reply.body.length], [200, size], range.slice(0, 20));
        }
        const beyond = await ranged(`bytes=${size}-`, BROWSER);
        assert.deepEqual([beyond.status, beyond.header('content-range')], [416, `bytes */${size}`]);
        const head = await get(port, `/${name}`, { Range: 'bytes=0-0' }, 'HEAD');
        assert.deepEqual([head.status, head.header('content-length')], [200, String(size)]);
        const [etag = '', date = ''] = [head.header('etag'), head.header('last-modified')];
        const conditional: readonly (readonly [ifRange: string, status: number])[] = [
          [etag, 206],
          [`W/${etag}`, 200],
          ['"other"', 200],
          [date, 206],
          [new Date(0).toUTCString(), 200],
          ['yesterday', 200],
        ];
        for (const [ifRange, status] of conditional)
          assert.equal((await ranged('bytes=0-0', { 'If-Range': ifRange })).status, status, ifRange);
        assert.equal((await ranged('bytes=0-0', { 'If-None-Match': etag })).status, 304);
        assert.equal((await ranged('bytes=0-0', { 'If-Match': '"other"', 'If-None-Match': etag })).status, 412);
        assert.equal((await ranged(`bytes=${size}-`, { 'If-None-Match': etag })).status, 304);
      });
    });
});

describe('compressed siblings', () => {
  const CHROMIUM = 'gzip, deflate, br, zstd';

  for (const size of [10, 200_000])
    test(`of ${size} bytes`, async (t) => {
      const forms = { '': 'i', '.br': 'b', '.zst': 'z', '.gz': 'g' };
      const files = Object.entries(forms).map(([suffix, letter]) => [`app.js${suffix}`, letter.repeat(size)] as const);
      const gateway = await serve(t, '', { ...Object.fromEntries(files), 'plain.js': 'p', 'plain.js.gz/x': '' });
      for (const [name] of files) utimesSync(join(gateway.root, name), 1_700_000_000, 1_700_000_000);
      await onBoth(t, gateway, async (port) => {
        const tags = new Set<string>();
        for (const [accept, coding, letter] of [
          ['identity', undefined, 'i'],
          [CHROMIUM, 'br', 'b'],
          ['gzip, zstd', 'zstd', 'z'],
          ['gzip', 'gzip', 'g'],
        ] as const) {
          const headers = { 'Accept-Encoding': accept };
          const reply = await get(port, '/app.js', headers);
          assert.equal(reply.status, 200);
          assert.equal(reply.header('content-encoding'), coding);
          assert.equal(reply.header('vary'), 'Accept-Encoding');
          assert.equal(reply.header('content-type'), 'text/javascript');
          assert.equal(reply.body.toString(), letter.repeat(size));
          const etag = reply.header('etag') ?? '';
          tags.add(etag);
          const again = await get(port, '/app.js', { ...headers, 'If-None-Match': etag });
          assert.deepEqual([again.status, again.header('vary')], [304, 'Accept-Encoding']);
          const part = await get(port, '/app.js', { ...headers, Range: 'bytes=-2' });
          assert.deepEqual([part.status, part.header('content-encoding')], [206, coding]);
          assert.deepEqual([part.header('etag'), part.body.toString()], [etag, letter.repeat(2)]);
          const head = await get(port, '/app.js', headers, 'HEAD');
          assert.deepEqual([head.header('content-encoding'), head.header('content-length')], [coding, String(size)]);
        }
        assert.equal(tags.size, 4);
        const media = await get(port, '/app.js', { 'Accept-Encoding': 'identity;q=1, *;q=0', Range: 'bytes=0-' });
        assert.deepEqual([media.status, media.header('content-encoding')], [206, undefined]);
        const plain = await get(port, '/plain.js', { 'Accept-Encoding': CHROMIUM });
        assert.deepEqual([plain.body.toString(), plain.header('vary')], ['p', undefined]);
        const itself = await get(port, '/app.js.gz', { 'Accept-Encoding': CHROMIUM });
        assert.deepEqual(
          [itself.header('content-type'), itself.header('content-encoding')],
          ['application/gzip', undefined],
        );
      });
    });

  test('one that is older than its file, or leads out, is not sent', async (t) => {
    const gateway = await serve(t, '', { 'a.js': 'new', 'a.js.gz': 'old', 'b.js': 'b' });
    utimesSync(join(gateway.root, 'a.js.gz'), 1_700_000_000, 1_700_000_000);
    writeFileSync(join(gateway.folder, 'secret'), 'secret');
    symlinkSync('../secret', join(gateway.root, 'b.js.br'));
    await onBoth(t, gateway, async (port) => {
      for (const [path, body] of [['/a.js', 'new'], ['/b.js', 'b']] as const) // biome-ignore format: one line
        assert.equal((await get(port, path, { 'Accept-Encoding': CHROMIUM })).body.toString(), body);
    });
  });

  test('not where the route does not want them', async (t) => {
    const gateway = await serve(t, 'precompressed = false', { 'a.js': 'a', 'a.js.gz': 'g' });
    const reply = await get(gateway.port, '/a.js', { 'Accept-Encoding': CHROMIUM });
    assert.deepEqual([reply.body.toString(), reply.header('vary')], ['a', undefined]);
  });

  test('one that is taken away while it is fresh is not missed', async (t) => {
    const large = 'x'.repeat(200_000);
    const gateway = await serve(t, '', { 'a.js': large, 'a.js.gz': large });
    await onBoth(t, gateway, async (port) => {
      await get(port, '/a.js', { 'Accept-Encoding': 'gzip' });
      rmSync(join(gateway.root, 'a.js.gz'), { force: true });
      const reply = await get(port, '/a.js', { 'Accept-Encoding': 'gzip' });
      assert.deepEqual([reply.status, reply.header('content-encoding'), reply.body.length], [200, undefined, 200_000]);
    });
  });
});

test('Cache-Control by pattern, the first that fits', async (t) => {
  const rules =
    'cache_control = { "*.html" = "no-cache", "assets/**" = "max-age=31536000, immutable", "*" = "max-age=60" }';
  const gateway = await serve(t, rules, { 'index.html': '', 'a.css': '', 'assets/x/y.js': '', 'assets/z.html': '' });
  await onBoth(t, gateway, async (port) => {
    for (const [path, value] of [
      ['/', 'no-cache'],
      ['/index.html', 'no-cache'],
      ['/a.css', 'max-age=60'],
      ['/assets/x/y.js', 'max-age=31536000, immutable'],
      ['/assets/z.html', 'no-cache'],
    ] as const) {
      const reply = await get(port, path);
      assert.deepEqual([reply.status, reply.header('cache-control')], [200, value], path);
      const again = await get(port, path, { 'If-None-Match': reply.header('etag') ?? '' });
      assert.deepEqual([again.status, again.header('cache-control')], [304, value], path);
    }
  });
});

test('types and charset of the route', async (t) => {
  const route = 'charset = "windows-1251"\ntypes = { ".PAC" = "text/x-mine", ".tar.gz" = "application/x-mine" }\n';
  const files = { 'a.html': '<p>\xcf</p>', 'a.pac': '', 'a.Tar.Gz': '', 'a.gz': '', 'a.wasm': '' };
  const gateway = await serve(t, route, files);
  await onBoth(t, gateway, async (port) => {
    for (const [path, type] of [
      ['/a.html', 'text/html; charset=windows-1251'],
      ['/a.pac', 'text/x-mine; charset=windows-1251'],
      ['/a.Tar.Gz', 'application/x-mine'],
      ['/a.gz', 'application/gzip'],
      ['/a.wasm', 'application/wasm'],
    ] as const)
      for (const method of ['GET', 'HEAD'])
        assert.equal((await get(port, path, {}, method)).header('content-type'), type, path);
    // What the gateway writes itself is UTF-8.
    assert.equal((await get(port, '/missing', BROWSER)).header('content-type'), 'text/html; charset=utf-8');
  });
});

test('one type for all files', async (t) => {
  const gateway = await serve(t, 'types = "text/plain; charset=koi8-r"', { README: 'x', 'a.html': 'x' });
  await onBoth(t, gateway, async (port) => {
    for (const path of ['/README', '/a.html'])
      assert.equal((await get(port, path)).header('content-type'), 'text/plain; charset=koi8-r');
  });
});

test('a file from the future: Last-Modified is never later than Date', async (t) => {
  const files = { 'small.txt': 'small', 'large.txt': 'x'.repeat(200_000) };
  const gateway = await serve(t, '', files);
  const ahead = Date.now() / 1000 + 86_400;
  for (const name of Object.keys(files)) utimesSync(join(gateway.root, name), ahead, ahead);
  await onBoth(t, gateway, async (port) => {
    for (const name of Object.keys(files))
      for (const method of ['GET', 'HEAD', 'GET']) {
        const reply = await get(port, `/${name}`, {}, method);
        const [modified = '', date = '', etag = ''] = [
          reply.header('last-modified'),
          reply.header('date'),
          reply.header('etag'),
        ];
        assert.ok(Date.parse(modified) <= Date.parse(date), `${modified}, ${date}`);
        assert.equal((await get(port, `/${name}`, { 'If-None-Match': etag })).status, 304);
        assert.equal((await get(port, `/${name}`, { 'If-Modified-Since': date })).status, 304);
      }
  });
});

describe('errors', () => {
  test('a page for browsers, text for programs', async (t) => {
    const gateway = await serve(t, 'headers = { X-Ours = "yes" }');
    await onBoth(t, gateway, async (port) => {
      const page = await get(port, '/missing', BROWSER);
      assert.equal(page.status, 404);
      assert.equal(page.header('content-type'), 'text/html; charset=utf-8');
      assert.equal(page.header('cache-control'), 'no-store');
      assert.equal(page.header('x-ours'), 'yes');
      assert.match(page.header('content-security-policy') ?? '', /^default-src 'none'; style-src 'sha256-/);
      assert.match(
        page.body.toString(),
        /<h1>404 Not Found<\/h1>[\s\S]*There is nothing[\s\S]*<code>[0-9a-f]{6}-\w+<\/code>/,
      );
      assert.doesNotMatch(page.body.toString(), /https?:|src=|missing/);
      const text = await get(port, '/missing', { Accept: '*/*' });
      assert.match(text.body.toString(), /^404 Not Found\n\nid [0-9a-f]{6}-\w+\n$/);
      const head = await get(port, '/missing', BROWSER, 'HEAD');
      assert.deepEqual([head.status, head.header('content-type')], [404, 'text/html; charset=utf-8']);
      assert.ok(Number(head.header('content-length')) > 500);
    });
  });

  test('the page leads back to the start page, from however deep, and from nowhere to itself', async (t) => {
    const gateway = await serve(t, '', {});
    const cases = [
      ['/missing', '/'],
      ['/missing?x=1', '/'],
      ['/a/missing', '/'],
      ['/a/missing/', '/'],
      ['/a//b/%2e/missing', '/'],
      ['/', undefined],
      [`/${'a/'.repeat(1000)}`, undefined],
    ] as const;
    await onBoth(t, gateway, async (port) => {
      for (const [path, home] of cases) {
        const page = await get(port, path, BROWSER);
        assert.ok(page.status >= 400, path);
        const href = /<a href="([^"]*)">Start page<\/a>/.exec(page.body.toString())?.[1];
        const there = href === undefined ? undefined : new URL(href, `http://x${path}`).pathname;
        assert.equal(there, home, path.slice(0, 40));
      }
    });
  });

  test('a folder without an index file says that it is one, and the log names the key that lists it', async (t) => {
    const gateway = await serve(t, '', { 'sub/x': '' });
    const page = await get(gateway.port, '/sub/', BROWSER);
    assert.equal(page.status, 403);
    assert.match(page.body.toString(), /This folder has no page of its own, and its files are not listed\./);
    await gateway.logged((line) => String(line['because']).includes('"listing = true" in the table of the route'));
  });

  test("the route's own pages keep the status, whoever has found the error", async (t) => {
    const pages =
      'error_pages = { "404" = "errors/404.html", "403" = "errors/403.txt", "405" = "errors/405.html", "416" = "errors/404.html" }';
    const large = 'x'.repeat(300_000);
    const gateway = await serve(t, pages, {
      'errors/404.html': '<h1>own 404</h1>',
      'errors/403.txt': 'own 403',
      'errors/405.html': large,
      'sub/x': '0123456789',
    });
    await onBoth(t, gateway, async (port) => {
      for (const accept of [BROWSER, {}]) {
        const missing = await get(port, '/missing', accept);
        assert.deepEqual([missing.status, missing.body.toString()], [404, '<h1>own 404</h1>']);
        assert.equal(missing.header('content-type'), 'text/html');
        assert.equal(missing.header('cache-control'), 'no-store');
        assert.equal(missing.header('etag'), undefined);
      }
      const head = await get(port, '/missing', {}, 'HEAD');
      assert.deepEqual([head.status, head.header('content-length')], [404, '16']);
      const conditional = await get(port, '/missing', { 'If-None-Match': '*', Range: 'bytes=0-1' });
      assert.deepEqual([conditional.status, conditional.body.length], [404, 16]);
      const folder = await get(port, '/sub/');
      assert.deepEqual([folder.status, folder.body.toString()], [403, 'own 403']);
      const method = await get(port, '/sub/x', {}, 'DELETE');
      assert.deepEqual(
        [method.status, method.body.length, method.header('allow')],
        [405, 300_000, 'GET, HEAD, OPTIONS'],
      );
      const range = await get(port, '/sub/x', { Range: 'bytes=10-' });
      assert.deepEqual([range.status, range.header('content-range')], [416, 'bytes */10']);
      assert.equal((await get(port, '/%00')).body.toString().startsWith('400 Bad Request'), true);
    });
    rmSync(join(gateway.root, 'errors'), { recursive: true });
    await until("the gateway's own page", async () => {
      const gone = await get(gateway.port, '/missing');
      return gone.body.toString().startsWith('404 Not Found');
    });
    await gateway.logged((line) =>
      line.message.startsWith('the error page for 404 cannot be sent: no such file or folder'),
    );
  });
});

test('a page with routes of its own', async (t) => {
  const gateway = await serve(
    t,
    'fallback = "app.html"\nindex = ["app.html"]\ncache_control = { "*.html" = "no-cache" }',
    {
      'app.html': '<h1>app</h1>',
      'assets/app.js': 'js',
      'app.html.gz': 'gz',
    },
  );
  await onBoth(t, gateway, async (port) => {
    const cases: readonly (readonly [path: string, headers: Headers, method: string, status: number])[] = [
      ['/settings', BROWSER, 'GET', 200],
      ['/settings/users/', BROWSER, 'GET', 200],
      ['/user/jane.doe', BROWSER, 'GET', 200],
      ['/settings', BROWSER, 'HEAD', 200],
      ['/settings', {}, 'GET', 200],
      ['/settings', { Accept: '*/*' }, 'GET', 200],
      ['/settings', { Accept: 'application/json' }, 'GET', 404],
      ['/settings', { Accept: 'text/html;q=0' }, 'GET', 404],
      ['/assets/missing.js', { Accept: '*/*' }, 'GET', 404],
      ['/assets/missing.png', { Accept: 'image/avif,image/webp,*/*;q=0.8' }, 'GET', 404],
      ['/assets/', BROWSER, 'GET', 403],
      ['/settings', BROWSER, 'POST', 405],
      ['/a%00b', BROWSER, 'GET', 400],
    ];
    for (const [path, headers, method, status] of cases) {
      const reply = await get(port, path, headers, method);
      assert.equal(reply.status, status, `${method} ${path} ${JSON.stringify(headers)}`);
      if (status !== 200) continue;
      assert.equal(reply.header('content-type'), 'text/html');
      assert.equal(reply.header('cache-control'), 'no-cache');
      if (method === 'GET') assert.equal(reply.body.toString(), '<h1>app</h1>');
    }
    const first = await get(port, '/settings', { 'Accept-Encoding': 'gzip' });
    assert.equal(first.body.toString(), 'gz');
    const again = await get(port, '/other', { 'Accept-Encoding': 'gzip', 'If-None-Match': first.header('etag') ?? '' });
    assert.equal(again.status, 304);
  });
});

test("a file's tag survives a restart of the gateway", async (t) => {
  const gateway = await serve(t, '', { 'page.html': 'page', 'page.html.gz': 'gz' });
  const headers = { 'accept-encoding': 'gzip' };
  const { headers: first } = await ask(gateway.port, '/page.html', { headers });
  assert.equal(await gateway.stop(), 0);
  const second = await startRunnel(t, ['serve', '-c', join(gateway.folder, 'runnel.toml')], { folder: gateway.folder });
  await onBoth(t, second, async (port) => {
    const reply = await ask(port, '/page.html', { headers: { ...headers, 'if-none-match': String(first['etag']) } });
    assert.equal(reply.status, 304);
  });
});
