// Makes an image for containers, dist/runnel-oci (a layout of OCI) and dist/runnel-oci.tar, out of the executables that
// scripts/package.mjs has made and of packages of Debian. Needs no daemon and no root; deploy/image/README.md says what is inside.
//
//   node scripts/package-image.mjs [--out FOLDER] [target …]        without a target: all of scripts/package/targets.mjs
//
// Needs apt, dpkg-deb and libdeflate-gzip. The packages are fetched once a day at most.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fetchPackages } from './package/image/debian.mjs';
import { baseLayer, PACKAGES, runnelLayer, USER } from './package/image/layers.mjs';
import { indexOf, Layout } from './package/image/layout.mjs';
import { formerSums, writeSums } from './package/sums.mjs';
import { TARGETS } from './package/targets.mjs';

/** By the names of Debian: how OCI names a processor, and where its libraries lie. */
const PLATFORMS = {
  amd64: { platform: { os: 'linux', architecture: 'amd64' }, triplet: 'x86_64-linux-gnu' },
  arm64: { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' }, triplet: 'aarch64-linux-gnu' },
  armhf: { platform: { os: 'linux', architecture: 'arm', variant: 'v7' }, triplet: 'arm-linux-gnueabihf' },
};
/** What a download may take, compressed. */
const MAX_BYTES = 45e6;

const { values: options, positionals } = parseArgs({ options: { out: { type: 'string' } }, allowPositionals: true });
const asked = options.out === undefined ? undefined : resolve(options.out);
process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const out = asked ?? 'dist/runnel-oci';
const targets = positionals.length > 0 ? positionals : Object.keys(TARGETS);
const strange = targets.find((name) => !Object.hasOwn(TARGETS, name));
if (strange !== undefined) {
  console.error(`no target ${strange}; there are ${Object.keys(TARGETS).join(', ')}`);
  process.exit(2);
}

const { version, description, license } = JSON.parse(readFileSync('package.json', 'utf8'));
const [revision, committed] = execFileSync('git', ['log', '-1', '--format=%H %ct'], { encoding: 'utf8' })
  .trim()
  .split(' ');
const time = Number(process.env.SOURCE_DATE_EPOCH ?? committed);
const labels = {
  'org.opencontainers.image.title': 'runnel',
  'org.opencontainers.image.description': description,
  'org.opencontainers.image.version': version,
  'org.opencontainers.image.revision': revision,
  'org.opencontainers.image.licenses': license,
  'org.opencontainers.image.created': new Date(time * 1000).toISOString(),
};

const architectures = targets.map((name) => TARGETS[name].debian);
const host = execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).trim();
const packages = fetchPackages(PACKAGES, [...new Set([...architectures, host])]);
const applets = busyboxApplets(packages.find((one) => one.name === 'busybox-static' && one.architecture === host).file);
const layout = new Layout(out);
const manifests = targets.map((name) => addManifest(name, TARGETS[name].debian));
const whole = layout.json('index', { ...indexOf(manifests), annotations: labels });
// Both names are for programs that load the layout: the tag for skopeo, the whole name for those that ask for no other.
const names = { 'org.opencontainers.image.ref.name': version, 'io.containerd.image.name': 'localhost/runnel:latest' };
layout.begin({ ...whole, annotations: names });
archive();
console.log(`${out}: runnel ${version} for ${architectures.join(', ')}, sha256 of its index ${whole.digest.slice(7)}`);

function addManifest(name, architecture) {
  const { platform, triplet } = PLATFORMS[architecture];
  const own = packages.filter((one) => one.architecture === architecture);
  const debian = own.map((one) => `${one.name} ${one.version}`).join(', ');
  // What Debian gave is not older than its newest package, and stays the same for further versions of runnel.
  const layers = [
    layout.layer(baseLayer(own, triplet, applets), 0),
    layout.layer(runnelLayer(`dist/runnel-${name}`), time),
  ];
  const config = layout.json('config', {
    created: new Date(time * 1000).toISOString(),
    ...platform,
    config: {
      User: `${USER}:${USER}`,
      ExposedPorts: { '8080/tcp': {} },
      Env: ['PATH=/usr/bin:/bin'],
      Entrypoint: ['/usr/bin/runnel'],
      Cmd: ['serve'],
      WorkingDir: '/',
      Labels: labels,
      StopSignal: 'SIGTERM',
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diff }) => diff) },
    history: [`Debian: ${debian}`, `runnel ${version}`].map((text) => ({
      created: new Date(time * 1000).toISOString(),
      created_by: text,
    })),
  });
  const size = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  console.log(`${architecture}: ${(size / 1e6).toFixed(1)} MB; ${debian}`);
  if (size > MAX_BYTES) throw new Error(`${architecture}: ${size} bytes are more than ${MAX_BYTES}`);
  const manifest = layout.json('manifest', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: layers.map(({ descriptor }) => descriptor),
    annotations: labels,
  });
  return { ...manifest, platform };
}

/** The names of the programs in busybox. Debian builds the same ones for each processor. */
function busyboxApplets(file) {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-busybox-'));
  try {
    execFileSync('dpkg-deb', ['--extract', file, folder]);
    return execFileSync(join(folder, 'usr/bin/busybox'), ['--list'], { encoding: 'utf8' }).trim().split('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The layout as one file, for programs that load images from one. */
function archive() {
  const settled = [
    '--sort=name',
    `--mtime=@${time}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--format=ustar',
    '--mode=go=rX,u+rw',
  ];
  execFileSync('tar', [...settled, '-cf', `${out}.tar`, '-C', out, 'blobs', 'index.json', 'oci-layout']);
  if (asked === undefined) writeSums(['runnel-oci.tar'], formerSums());
  console.log(`${out}.tar: ${(statSync(`${out}.tar`).size / 1e6).toFixed(1)} MB`);
}
