// Makes of an image layout what a runtime of OCI runs, a bundle: the root file system and config.json.
//
//   node scripts/package/image/bundle.mjs LAYOUT ARCHITECTURE BUNDLE
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MEMORY = 64 << 20;

const [layout, architecture, bundle] = process.argv.slice(2);
const blob = ({ digest }) => join(layout, 'blobs/sha256', digest.replace('sha256:', ''));
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
const [whole] = read(join(layout, 'index.json')).manifests;
const wanted = architecture === 'armhf' ? 'arm' : architecture;
const manifest = read(blob(read(blob(whole)).manifests.find(({ platform }) => platform.architecture === wanted)));
const { config } = read(blob(manifest.config));

const root = join(bundle, 'rootfs');
mkdirSync(root, { recursive: true });
for (const layer of manifest.layers)
  execFileSync('tar', ['-xzf', blob(layer), '--numeric-owner', '--same-owner', '--same-permissions', '-C', root]);

const [uid, gid] = config.User.split(':').map(Number);
const mount = (destination, type, ...options) => ({ destination, type, source: type, options });
const spec = {
  ociVersion: '1.0.2',
  process: {
    user: { uid, gid },
    args: [...config.Entrypoint, ...config.Cmd],
    env: config.Env,
    cwd: config.WorkingDir,
    capabilities: { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
    noNewPrivileges: true,
  },
  root: { path: 'rootfs', readonly: true },
  hostname: 'runnel',
  mounts: [
    mount('/proc', 'proc'),
    mount('/dev', 'tmpfs', 'nosuid', 'mode=755', 'size=65536k'),
    mount('/sys', 'sysfs', 'nosuid', 'noexec', 'nodev', 'ro'),
    mount('/sys/fs/cgroup', 'cgroup', 'nosuid', 'noexec', 'nodev', 'ro'),
    // As compose.yaml has it: the add-ons are loaded from there.
    mount('/tmp', 'tmpfs', 'nosuid', 'nodev', 'exec', 'mode=1777', 'size=16m'),
  ],
  linux: {
    resources: { memory: { limit: MEMORY }, devices: [{ allow: false, access: 'rwm' }] },
    namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
    maskedPaths: ['/proc/kcore', '/proc/keys'],
    readonlyPaths: ['/proc/sys', '/proc/sysrq-trigger'],
  },
};
writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
