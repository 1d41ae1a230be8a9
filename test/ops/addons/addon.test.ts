import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { loadKoffi, loadUws } from '../../../src/ops/addons/addon.ts';
import { openAssets } from '../../../src/ops/assets.ts';
import { tailOf } from '../tail.ts';

const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'runnel-test-'));
after(() => rmSync(folder, { recursive: true }));

/** A file with the real add-ons of this Node behind it, as the single executable has them. */
function executableWithAddons(): string {
  const uws = join(
    dirname(import.meta.resolve('uWebSockets.js').slice('file://'.length)),
    `bin/uws_linux_${process.arch}_${process.versions.modules}.node`,
  );
  const koffi = join(
    dirname(require.resolve(`@koromix/koffi-linux-${process.arch}`)),
    `linux_${process.arch}/koffi.node`,
  );
  const parts: Buffer[] = [];
  const files: { [name: string]: [number, number, string] } = {};
  let end = 0;
  for (const [name, path] of [
    ['uws.node', uws],
    ['koffi.node', koffi],
  ] as const) {
    const bytes = readFileSync(path);
    files[name] = [end, bytes.length, createHash('sha256').update(bytes).digest('hex')];
    end += bytes.length;
    parts.push(bytes);
  }
  const executable = join(folder, 'executable');
  writeFileSync(executable, Buffer.concat([...parts, tailOf(JSON.stringify({ version: '0', files }))]));
  return executable;
}

/** Loads both add-ons in a process of its own, since an add-on cannot be unloaded. Gives what each exports. */
async function loadElsewhere(
  executable: string | undefined,
  environment: { [name: string]: string },
): Promise<unknown> {
  const script = `
    import { loadKoffi, loadUws } from '${new URL('../../../src/ops/addons/addon.js', import.meta.url)}';
    import { openAssets } from '${new URL('../../../src/ops/assets.js', import.meta.url)}';
    const assets = openAssets(${executable === undefined ? '' : JSON.stringify(executable)});
    const uws = await loadUws(assets, 65536);
    const koffi = loadKoffi(assets);
    console.log(JSON.stringify([typeof uws.App, typeof uws.us_listen_socket_close, typeof koffi.load, typeof koffi.App]));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    env: { PATH: '/usr/bin:/bin', ...environment },
    timeout: 30_000,
  });
  return JSON.parse(stdout);
}

const BOTH = ['function', 'function', 'function', 'undefined'];

test('plain Node loads both from their packages', async () => {
  assert.deepEqual(await loadElsewhere(undefined, {}), BOTH);
});

test('both come out of an executable, each as itself, and leave nothing behind', async () => {
  const scratch = mkdtempSync(join(folder, 'scratch-'));
  assert.deepEqual(await loadElsewhere(executableWithAddons(), { RUNNEL_TMP: scratch }), BOTH);
  assert.deepEqual(readdirSync(scratch), []);
});

test('a folder that cannot be used is passed over', async () => {
  assert.deepEqual(await loadElsewhere(executableWithAddons(), { RUNNEL_TMP: '/proc' }), BOTH);
});

test('an add-on that is missing or no library is refused with its name', async () => {
  const digest = createHash('sha256').update('nonsense').digest('hex');
  const index = { version: '0', files: { 'koffi.node': [0, 8, digest] } };
  const executable = join(folder, 'nonsense');
  writeFileSync(executable, Buffer.concat([Buffer.from('nonsense'), tailOf(JSON.stringify(index))]));
  const assets = openAssets(executable);
  await assert.rejects(loadUws(assets, 65536), /uws\.node is missing/);
  assert.throws(() => loadKoffi(assets), /file too short|invalid ELF header/);
});
