import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AssetError, openAssets } from '../../src/ops/assets.ts';
import { tailOf } from './tail.ts';

const folder = mkdtempSync(join(tmpdir(), 'runnel-test-'));
after(() => rmSync(folder, { recursive: true }));

const ELF = Buffer.from('\x7fELF and so on');
const PAGE = Buffer.from('<p>h\u00e9llo</p>');
const ADDON = Buffer.alloc(150_000, 'addon');

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

const withTail = (head: Buffer, json: string, length?: number) => Buffer.concat([head, tailOf(json, length)]);

const BODY = Buffer.concat([ELF, ADDON, PAGE]);
const INDEX = {
  version: '1.2.3',
  files: {
    'uws.node': [ELF.length, ADDON.length, sha256(ADDON)],
    'browser/run.html': [ELF.length + ADDON.length, PAGE.length, sha256(PAGE)],
  },
};

function file(name: string, bytes: Buffer): string {
  const path = join(folder, name.replaceAll(/\W/g, '-'));
  writeFileSync(path, bytes);
  return path;
}

const good = file('good', withTail(BODY, JSON.stringify(INDEX)));

test('assets behind an executable are read and copied', () => {
  const assets = openAssets(good);
  assert.equal(assets.single, true);
  assert.equal(assets.version, '1.2.3');
  assert.deepEqual(assets.read('browser/run.html'), PAGE);
  const copy = join(folder, 'copy');
  const descriptor = openSync(copy, 'w');
  assert.equal(assets.copy('uws.node', descriptor), 0);
  closeSync(descriptor);
  assert.deepEqual(readFileSync(copy), ADDON);
});

test('each asset has its own place', () => {
  const descriptor = openSync('/dev/null', 'w');
  assert.equal(openAssets(good).copy('browser/run.html', descriptor), 1);
  closeSync(descriptor);
});

test('what is not there is named', () => {
  assert.throws(() => openAssets(good).read('browser/none.html'), /browser\/none\.html is missing from the executable/);
  assert.throws(() => openAssets(good).read('__proto__'), AssetError);
});

test('a descriptor that takes nothing shows the error of the system', () => {
  const descriptor = openSync('/dev/full', 'w');
  assert.throws(() => openAssets(good).copy('uws.node', descriptor), { code: 'ENOSPC' });
  closeSync(descriptor);
});

test('a changed byte is noticed', () => {
  const bytes = withTail(BODY, JSON.stringify(INDEX));
  bytes.writeUInt8(bytes.readUInt8(ELF.length + 70_000) ^ 1, ELF.length + 70_000);
  const assets = openAssets(file('changed', bytes));
  assert.throws(() => assets.copy('uws.node', openSync('/dev/null', 'w')), /uws\.node is damaged/);
  assert.deepEqual(assets.read('browser/run.html'), PAGE);
});

const damaged: readonly [name: string, bytes: Buffer, error: RegExp][] = [
  ['an index that is not JSON', withTail(BODY, '{"version"'), /not JSON/],
  ['an index longer than the file', withTail(BODY, '{}', 4_000_000_000), /does not fit/],
  ['an index that is a list', withTail(BODY, '[]'), /not an index/],
  ['an index without a version', withTail(BODY, '{"files":{}}'), /not an index/],
  ['an index whose files are a list', withTail(BODY, '{"version":"1","files":[]}'), /not an index/],
  ['an entry that is no list', withTail(BODY, '{"version":"1","files":{"a":1}}'), /wrong about "a"/],
  ['an entry without a digest', withTail(BODY, '{"version":"1","files":{"a":[0,1]}}'), /wrong about "a"/],
  ['an entry before the file', withTail(BODY, '{"version":"1","files":{"a":[-1,1,""]}}'), /wrong about "a"/],
  ['an entry beyond the file', withTail(BODY, '{"version":"1","files":{"a":[5,1e6,""]}}'), /wrong about "a"/],
  ['an entry of half bytes', withTail(BODY, '{"version":"1","files":{"a":[0.5,1,""]}}'), /wrong about "a"/],
];

for (const [name, bytes, error] of damaged) {
  test(`refused: ${name}`, () => {
    const path = file(name, bytes);
    assert.throws(() => openAssets(path), AssetError);
    assert.throws(() => openAssets(path), error);
  });
}

const without: readonly [name: string, bytes: Buffer][] = [
  ['an empty file', Buffer.alloc(0)],
  ['a file shorter than the footer', Buffer.from('RNLTAIL1')],
  ['a file with another end', BODY],
  ['a file whose footer is cut', withTail(BODY, JSON.stringify(INDEX)).subarray(0, -1)],
];

for (const [name, bytes] of without) {
  test(`no tail, so the assets are files: ${name}`, () => {
    assert.equal(openAssets(file(name, bytes)).single, false);
  });
}

test('on plain Node the version is that of package.json', () => {
  const manifest: unknown = JSON.parse(readFileSync('package.json', 'utf8'));
  const assets = openAssets();
  assert.equal(assets.single, false);
  assert.deepEqual({ version: assets.version }, { version: Object(manifest).version });
  assert.throws(() => assets.copy('uws.node', 1), AssetError);
});
