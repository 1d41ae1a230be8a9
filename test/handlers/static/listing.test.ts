/** Folders listed by the real gateway. */
import assert from 'node:assert/strict';
import { chmodSync, closeSync, mkdirSync, openSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { readableSize } from '../../../src/handlers/static/listing.ts';
import { descriptorsOf, memoryOf, until } from '../../support/processes.ts';
import { BROWSER, get, onBoth, serve } from '../../support/static-site.ts';

const ODD = [
  'a b.txt',
  '#1.txt',
  '100%.txt',
  '100%25.txt',
  'a&amp;b.txt',
  '<script>alert(1)<',
  `"'quotes'".txt`,
  'ü.txt',
  '😀.txt',
  'a?b=c.txt',
  'javascript:alert(1)',
  '-rf',
  "it's",
  'a+b;c,d=e.txt',
  '{{x}}',
];

interface Entry {
  readonly name: string;
  readonly type: string;
  readonly mtime: string;
  readonly size?: number;
}

const JSON_ONLY = { Accept: 'application/json' };

test('names of every kind are shown, escaped, and lead to their files', async (t) => {
  const files = Object.fromEntries(ODD.map((name) => [`odd/${name}`, `content of ${name}`]));
  const gateway = await serve(t, 'listing = true', {
    ...files,
    'odd/.hidden': '',
    'odd/new\nline': '',
    'odd/b\\s': '',
  });
  const folder = join(gateway.root, 'odd');
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe])]), '');
  mkdirSync(join(folder, 'sub #1'));
  symlinkSync('ü.txt', join(folder, 'link'));
  symlinkSync('gone', join(folder, 'dangling'));
  utimesSync(join(folder, 'ü.txt'), 1_700_000_000, 1_700_000_000);
  await onBoth(t, gateway, async (port) => {
    const json = await get(port, '/odd/', JSON_ONLY);
    assert.equal(json.header('content-type'), 'application/json');
    assert.deepEqual([json.header('vary'), json.header('cache-control')], ['Accept', 'no-cache']);
    const entries = JSON.parse(json.body.toString()) as Entry[];
    assert.deepEqual(entries.map(({ name }) => name).sort(), [...ODD, 'link', 'sub #1'].sort());
    assert.deepEqual(entries[0]?.type, 'directory');
    assert.deepEqual(
      entries.find(({ name }) => name === 'ü.txt'),
      {
        name: 'ü.txt',
        type: 'file',
        mtime: 'Tue, 14 Nov 2023 22:13:20 GMT',
        size: Buffer.byteLength('content of ü.txt'),
      },
    );
    const page = (await get(port, '/odd/', BROWSER)).body.toString();
    assert.ok(!page.includes('<script') && !page.includes('{{x}}"') && page.includes('<a href="../">'));
    const links = [...page.matchAll(/<a href="\.\/([^"]*)">/g)].map((match) => match[1] ?? '');
    assert.deepEqual(
      links.map(decodeURIComponent),
      entries.map(({ name, type }) => (type === 'directory' ? `${name}/` : name)),
    );
    for (const link of links.filter((link) => !link.endsWith('/') && link !== 'link')) {
      const reply = await get(port, `/odd/${link}`);
      assert.equal(reply.body.toString(), `content of ${decodeURIComponent(link)}`);
    }
    assert.equal((await get(port, '/odd/sub%20%231/', BROWSER)).status, 200);
    assert.doesNotMatch((await get(port, '/', BROWSER)).body.toString(), /href="\.\.\//);
    const head = await get(port, '/odd/', JSON_ONLY, 'HEAD');
    assert.deepEqual([head.status, head.header('content-type')], [200, 'application/json']);
    assert.equal((await get(port, '/odd')).header('location'), './odd/');
    for (const accept of ['*/*', 'text/html', 'application/json;q=0.5, text/html'])
      assert.match((await get(port, '/odd/', { Accept: accept })).header('content-type') ?? '', /^text\/html/, accept);
  });
});

test('without `listing` a folder is 403, and an index file comes first', async (t) => {
  const closed = await serve(t, '', { 'sub/x': '' });
  assert.equal((await get(closed.port, '/sub/')).status, 403);
  const open = await serve(t, 'listing = true', { 'sub/index.html': 'index', 'none/x': '' });
  assert.equal((await get(open.port, '/sub/')).body.toString(), 'index');
  mkdirSync(join(open.root, 'empty'));
  assert.equal((await get(open.port, '/empty/', JSON_ONLY)).body.toString(), '[\n]\n');
  const empty = /This folder has no files to show/;
  assert.match((await get(open.port, '/empty/', BROWSER)).body.toString(), empty);
  assert.doesNotMatch((await get(open.port, '/none/', BROWSER)).body.toString(), empty);
  chmodSync(join(open.root, 'none'), 0o755);
});

test('100,000 files are listed in little memory, and whoever leaves halfway costs nothing', async (t) => {
  const gateway = await serve(t, 'listing = true');
  const folder = join(gateway.root, 'many');
  mkdirSync(folder);
  for (let i = 0; i < 100_000; i++) closeSync(openSync(join(folder, `file-${i}.txt`), 'w'));
  await get(gateway.port, '/', JSON_ONLY);
  const before = { descriptors: descriptorsOf(gateway.pid).length, memory: memoryOf(gateway.pid, 'RssAnon') };
  await onBoth(t, gateway, async (port) => {
    const reply = await get(port, '/many/', JSON_ONLY);
    const entries = JSON.parse(reply.body.toString()) as Entry[];
    assert.equal(new Set(entries.map(({ name }) => name)).size, 100_000);
    assert.equal((await get(port, '/many/file-77777.txt')).status, 200);
  });
  t.diagnostic(`grew by ${memoryOf(gateway.pid, 'RssAnon') - before.memory} KiB`);
  assert.ok(memoryOf(gateway.pid, 'RssAnon') - before.memory < 64_000);
  // Twenty that read nothing: sixteen are at work, the others are told to come again.
  const statuses: string[] = [];
  const clients = Array.from({ length: 20 }, (_, index) => {
    const socket = connect(gateway.ports[index % 2] ?? 0, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /many/ HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.once('data', (bytes: Buffer) => {
      statuses.push(bytes.toString('latin1', 9, 12));
      socket.pause();
    });
    return socket;
  });
  await until('twenty answers', () => statuses.length === 20);
  assert.equal(statuses.filter((status) => status === '503').length, 4, statuses.join());
  for (const socket of clients) socket.destroy();
  await until('no descriptor left', () => descriptorsOf(gateway.pid).length <= before.descriptors);
  assert.equal((await get(gateway.port, '/many/', JSON_ONLY)).status, 200);
});

test('sizes for people', () => {
  const sizes = [0, 1023, 1024, 1536, 10_200, 1024 ** 2 - 1, 8 * 1024 ** 3, 2 ** 53].map(readableSize);
  assert.deepEqual(sizes, ['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '10 KiB', '1024 KiB', '8.0 GiB', '8.0 PiB']);
});
