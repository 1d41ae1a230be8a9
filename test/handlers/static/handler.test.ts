/** The static handler on real files. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { headerValue, type Reply } from '../../../src/engine/engine.ts';
import { CacheBudget } from '../../../src/files/cache.ts';
import { ReadBuffers } from '../../../src/files/file-body.ts';
import { staticHandler } from '../../../src/handlers/static/handler.ts';
import { HttpError } from '../../../src/http/errors.ts';
import { Log } from '../../../src/ops/log.ts';
import { type CallOptions, fakeCall } from '../../support/call.ts';
import { bodyOf } from '../../support/collect.ts';
import { configOf } from '../../support/config.ts';

const base = mkdtempSync(join(tmpdir(), 'runnel-static-'));
const root = join(base, 'www');
mkdirSync(join(root, 'sub'), { recursive: true });
mkdirSync(join(root, 'empty'));
mkdirSync(join(root, 'folder-as-index', 'index.html'), { recursive: true });
after(() => rmSync(base, { recursive: true, force: true }));

const big = Buffer.alloc(500_000, 'big file ');
writeFileSync(join(root, 'index.html'), '<h1>hello</h1>');
writeFileSync(join(root, 'sub', 'index.htm'), 'sub index');
writeFileSync(join(root, 'sub', 'x.txt'), 'x');
writeFileSync(join(root, 'none.txt'), '');
writeFileSync(join(root, 'big.bin'), big);
writeFileSync(join(base, 'secret.txt'), 'secret');
symlinkSync('../secret.txt', join(root, 'out.txt'));

const log = new Log({ format: 'json', level: 'error', colour: false, descriptor: 2 });

const DEFAULTS = configOf({ static: { '/files/': { root, index: ['index.html', 'index.htm'] } } }).static.get(
  '/files/',
);

function handlerFor(options: { freshFor?: number; folder?: string; cacheControl?: string } = {}) {
  assert(DEFAULTS !== undefined);
  return staticHandler(
    {
      ...DEFAULTS,
      root: options.folder ?? root,
      cache_control: new Map(options.cacheControl === undefined ? [] : [['**', options.cacheControl]]),
    },
    {
      route: '/',
      files: new CacheBudget({ maxBytes: 1 << 20, freshFor: options.freshFor ?? 1000 }),
      buffers: new ReadBuffers(),
      log,
    },
  );
}

type Handler = ReturnType<typeof handlerFor>;

async function ask(handler: Handler, options: CallOptions): Promise<Reply> {
  const answer = await handler.handle(fakeCall(options));
  assert.ok('status' in answer);
  return answer;
}

async function refusal(handler: Handler, options: CallOptions): Promise<HttpError> {
  try {
    const reply = await ask(handler, options);
    return assert.fail(`answered with ${reply.status}`);
  } catch (error) {
    assert.ok(error instanceof HttpError, String(error));
    return error;
  }
}

test('a small file: from disk, then from memory in the same turn', async () => {
  const handler = handlerFor({ cacheControl: 'max-age=60' });
  const first = await ask(handler, { path: '/index.html' });
  assert.equal(first.status, 200);
  assert.equal(headerValue(first.headers, 'content-type'), 'text/html');
  assert.equal(headerValue(first.headers, 'cache-control'), 'max-age=60');
  assert.match(headerValue(first.headers, 'etag') ?? '', /^"[0-9a-z]+-[0-9a-z]+"$/);
  assert.match(headerValue(first.headers, 'last-modified') ?? '', / GMT$/);
  assert.equal((await bodyOf(first)).toString(), '<h1>hello</h1>');
  const second = handler.handle(fakeCall({ path: '/index.html' }));
  assert.ok(!(second instanceof Promise), 'answered at once');
  assert.deepEqual(second, first);
});

test('the tag of a file survives a restart', async () => {
  const [one, two] = [await ask(handlerFor(), { path: '/' }), await ask(handlerFor(), { path: '/' })];
  assert.equal(headerValue(one.headers, 'etag'), headerValue(two.headers, 'etag'));
});

test('index files and folders', async () => {
  const handler = handlerFor();
  assert.equal((await bodyOf(await ask(handler, { path: '/' }))).toString(), '<h1>hello</h1>');
  assert.equal((await bodyOf(await ask(handler, { path: '/sub/' }))).toString(), 'sub index');
  assert.deepEqual(await handler.handle(fakeCall({ path: '/sub' })), { toFolder: true });
  assert.equal((await refusal(handler, { path: '/empty/' })).status, 403);
  assert.equal((await refusal(handler, { path: '/folder-as-index/' })).status, 403);
  assert.equal((await refusal(handler, { path: '/index.html/' })).status, 404);
  const exact = await ask(handler, { path: '/docs', route: '/docs' });
  assert.equal(exact.status, 200, 'an exact route on a folder serves its index and does not redirect');
});

test('a root that is one file', async () => {
  const handler = handlerFor({ folder: join(root, 'index.html') });
  assert.equal((await ask(handler, { path: '/robots.txt', route: '/robots.txt' })).status, 200);
});

test('conditional requests', async (t) => {
  for (const path of ['/index.html', '/big.bin']) {
    const handler = handlerFor({ cacheControl: 'no-cache' });
    const { headers } = await ask(handler, { path });
    await bodyOf(await ask(handler, { path }));
    const etag = headerValue(headers, 'etag') ?? '';
    const date = headerValue(headers, 'last-modified') ?? '';
    const old = new Date(0).toUTCString();
    const cases: readonly (readonly [name: string, value: string, status: number])[] = [
      ['if-none-match', etag, 304],
      ['if-none-match', '"x"', 200],
      ['if-modified-since', date, 304],
      ['if-modified-since', old, 200],
      ['if-match', '"x"', 412],
      ['if-unmodified-since', old, 412],
    ];
    for (const [name, value, status] of cases) {
      await t.test(`${path} ${name}: ${value}`, async () => {
        const options = { path, headers: [[name, value]] } as const;
        if (status === 412) return assert.equal((await refusal(handler, options)).status, 412);
        const reply = await ask(handler, options);
        assert.equal(reply.status, status);
        if (status === 304) {
          assert.deepEqual(reply.headers, [
            ['etag', etag],
            ['cache-control', 'no-cache'],
          ]);
        }
        const length = (await bodyOf(reply)).length;
        assert.equal(length === 0, status === 304);
      });
    }
  }
});

test('ranges', async (t) => {
  const handler = handlerFor();
  const etag = headerValue((await ask(handler, { path: '/big.bin' })).headers, 'etag') ?? '';
  const cases: readonly (readonly [field: string, status: number, start: number, end: number])[] = [
    ['bytes=0-0', 206, 0, 1],
    ['bytes=-7', 206, 499_993, 500_000],
    ['bytes=100000-', 206, 100_000, 500_000],
    ['bytes=0-3,2-6,7-9', 206, 0, 10],
    ['bytes=x', 200, 0, 500_000],
  ];
  for (const [field, status, start, end] of cases) {
    await t.test(field, async () => {
      const reply = await ask(handler, { path: '/big.bin', headers: [['range', field]] });
      assert.equal(reply.status, status);
      const expected = status === 206 ? `bytes ${start}-${end - 1}/500000` : undefined;
      assert.equal(headerValue(reply.headers, 'content-range'), expected);
      assert.ok((await bodyOf(reply)).equals(big.subarray(start, end)));
    });
  }
  const beyond = await refusal(handler, { path: '/big.bin', headers: [['range', 'bytes=500000-']] });
  assert.deepEqual([beyond.status, beyond.headers], [416, [['content-range', 'bytes */500000']]]);
  const ranged = async (ifRange: string): Promise<number> => {
    const headers = [['range', 'bytes=0-0'], ['if-range', ifRange]] as const; // biome-ignore format: one line
    const reply = await ask(handler, { path: '/big.bin', headers });
    await bodyOf(reply);
    return reply.status;
  };
  assert.equal(await ranged(etag), 206);
  assert.equal(await ranged('"old"'), 200);
  await ask(handler, { path: '/index.html' });
  const small = await ask(handler, { path: '/index.html', headers: [['range', 'bytes=1-2']] });
  assert.deepEqual([small.status, (await bodyOf(small)).toString()], [206, 'h1']);
});

test('HEAD tells the length and opens nothing', async () => {
  const handler = handlerFor();
  const before = readdirSync('/proc/self/fd').length;
  const reply = await ask(handler, { path: '/big.bin', method: 'HEAD', headers: [['range', 'bytes=0-1']] });
  assert.equal(reply.status, 200);
  assert.ok(typeof reply.body === 'object' && 'start' in reply.body);
  assert.equal(reply.body.length, 500_000);
  // Fewer, when a file of the test before was still being closed.
  assert.ok(readdirSync('/proc/self/fd').length <= before);
  const none = await ask(handler, { path: '/none.txt' });
  assert.deepEqual([none.status, (await bodyOf(none)).length], [200, 0]);
});

test('what is not served', async (t) => {
  const handler = handlerFor();
  const cases: readonly (readonly [string, number])[] = [
    ['/missing', 404],
    ['/out.txt', 404],
    ['/..%2fsecret.txt', 404],
    ['/%c0%ae', 400],
    ['/.git/config', 404],
  ];
  for (const [path, status] of cases) {
    await t.test(path, async () => assert.equal((await refusal(handler, { path })).status, status));
  }
});

test('a change is seen once the value is stale, also when size and modification time stay', async () => {
  const handler = handlerFor({ freshFor: 0 });
  const path = join(root, 'changing.txt');
  const text = async (): Promise<string> => (await bodyOf(await ask(handler, { path: '/changing.txt' }))).toString();
  for (const content of ['one', 'two', 'six']) {
    writeFileSync(path, content);
    utimesSync(path, 1_700_000_000, 1_700_000_000);
    assert.equal(await text(), content);
    assert.equal(await text(), content);
  }
  rmSync(path);
  assert.equal((await refusal(handler, { path: '/changing.txt' })).status, 404);
});

test('a hundred requests for a stale file look at the disk once, and leave no descriptor', async () => {
  const handler = handlerFor({ freshFor: 0 });
  await ask(handler, { path: '/big.bin' }).then(bodyOf);
  const before = readdirSync('/proc/self/fd').length;
  const replies = await Promise.all(Array.from({ length: 100 }, () => ask(handler, { path: '/index.html' })));
  assert.equal(new Set(replies.map((reply) => reply.body)).size, 1, 'one buffer for all');
  // Fewer, when a file of the test before was still being closed.
  assert.ok(readdirSync('/proc/self/fd').length <= before);
});

test('a hit is answered at once and out of memory: the disk is not asked while it is fresh', async () => {
  const path = join(root, 'gone.txt');
  writeFileSync(path, 'still here');
  const handler = handlerFor({ freshFor: 60_000 });
  const call = fakeCall({ path: '/gone.txt' });
  const first = await handler.handle(call);
  rmSync(path);
  for (let i = 0; i < 1000; i++) {
    const hit = handler.handle(call);
    assert.ok(!(hit instanceof Promise), 'answered at once');
    assert.deepEqual(hit, first);
  }
});
