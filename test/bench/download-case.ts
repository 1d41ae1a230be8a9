/** What the download of a large file costs in memory, for a client that takes it as fast as it comes and for a slow one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchCase, column, running } from './case.ts';
import { bareFileTls, lighttpd, lighttpdTls, nginx, nginxTls, type Peer, runnel } from './peers.ts';
import { cpuOf, type Memory, memoryOf } from './proc.ts';
import { whereIs } from './programs.ts';
import { type Service, startService } from './service.ts';
import type { Site } from './site.ts';

const BYTES = 1_000_000_000;
const TLS_BYTES = 200_000_000;
/** Bytes a second of the slow client. */
const SLOWLY = 20_000_000;
/** Milliseconds between two looks at the server's memory, and until it has come to rest. */
const LOOK_EVERY = 10;
/** Where processor time is measured: a look takes some of the server's. */
const LOOK_SELDOM = 100;
const SETTLE = 1000;
const MIB = 2 ** 20;

/** A file that takes no room on the disk. @returns its path on the servers */
export function sparseFile(site: Site, bytes: number): string {
  const name = `${bytes / 1e6}m.bin`;
  const file = join(site.www, name);
  if (!existsSync(file)) {
    const descriptor = openSync(file, 'w');
    ftruncateSync(descriptor, bytes);
    closeSync(descriptor);
  }
  return `/${name}`;
}

export interface Download {
  /** The most that the server had at one moment. */
  readonly peak: Memory;
  readonly bytes: number;
  readonly seconds: number;
}

/** @param limits for curl(1) */
export async function download(
  service: Service,
  path: string,
  limits: readonly string[],
  secure = false,
): Promise<Download> {
  const url = `${secure ? 'https' : 'http'}://127.0.0.1:${service.port}${path}`;
  // One suite, so that all encrypt alike.
  const tls = secure ? ['--insecure', '--tls13-ciphers', 'TLS_AES_128_GCM_SHA256'] : [];
  const args = ['-s', '-o', '/dev/null', '-w', '%{size_download} %{time_total}', ...tls, ...limits, url];
  const child = spawn(whereIs('curl') ?? 'curl', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  const closed = once(child, 'close');
  let peak: Memory = { rss: 0, pss: 0, anonymous: 0 };
  while (child.exitCode === null && child.signalCode === null) {
    const now = memoryOf(service.processes());
    peak = {
      rss: Math.max(peak.rss, now.rss),
      pss: Math.max(peak.pss, now.pss),
      anonymous: Math.max(peak.anonymous, now.anonymous),
    };
    await sleep(secure ? LOOK_SELDOM : LOOK_EVERY);
  }
  await closed;
  const [bytes = 0, seconds = 0] = said.split(' ').map(Number);
  return { peak, bytes, seconds };
}

async function measured(peer: Peer, site: Site, seconds: number): Promise<readonly number[]> {
  const path = sparseFile(site, BYTES);
  const service = await startService(await peer.prepare(site));
  try {
    // So that what it keeps for every first request is there.
    await download(service, '/1k.bin', []);
    await sleep(SETTLE);
    const idle = memoryOf(service.processes());
    const before = cpuOf(service.processes()).own;
    const fast = await download(service, path, []);
    const cpu = cpuOf(service.processes()).own - before;
    if (fast.bytes !== BYTES) throw new Error(`${peer.name}: ${fast.bytes} bytes came`);
    await sleep(SETTLE);
    const slow = await download(service, path, ['--limit-rate', String(SLOWLY), '--max-time', String(seconds)]);
    if (slow.bytes === 0) throw new Error(`${peer.name}: nothing came for the slow one`);
    const more = ({ peak }: Download, what: 'anonymous' | 'rss'): number => (peak[what] - idle[what]) / MIB;
    return [
      more(fast, 'anonymous'),
      more(fast, 'rss'),
      more(slow, 'anonymous'),
      more(slow, 'rss'),
      idle.rss / MIB,
      fast.bytes / fast.seconds / 1e6,
      cpu,
    ];
  } finally {
    await service.stop();
  }
}

export const downloadCase: BenchCase = {
  name: 'download-1g',
  title: `A file of 1 GB, for a client that takes it at once, then for one that takes ${SLOWLY / 1e6} MB a second`,
  needs: ['curl'],
  columns: [
    column('private MiB above idle', 1, false),
    column('RSS MiB above idle', 1, false),
    column('slow: private MiB above idle', 1, false),
    column('slow: RSS MiB above idle', 1, false),
    column('RSS MiB idle', 1, false),
    column('MB/s', 0),
    column('server CPU s', 2),
  ],
  peers: [runnel('uws', { packaged: true }), runnel('node', { packaged: true }), lighttpd, nginx],
  startsItself: true,
  measure: (peer, _service, { site, seconds }) => measured(peer, site, seconds),
};

/** Sending what is encrypted: how fast, and at which cost; TLS beside one row without. */
export const downloadTlsCase: BenchCase = {
  name: 'tls-download',
  title: `A file of ${TLS_BYTES / 1e6} MB over TLS (AES-128-GCM), for one client`,
  needs: ['curl'],
  columns: [column('MB/s', 0), column('server CPU ms for 100 MB', 0), column('private MiB above idle', 1, false)],
  peers: [runnel('auto', { secure: true }), runnel('node', { secure: true }), lighttpdTls, nginxTls, bareFileTls],
  async measure({ name, secure }, service, { site }) {
    const server = running(service);
    const path = sparseFile(site, TLS_BYTES);
    // What a first download costs is mostly compiling.
    await download(server, path, [], secure);
    const idle = memoryOf(server.processes()).anonymous;
    const before = cpuOf(server.processes()).own;
    const { bytes, seconds, peak } = await download(server, path, [], secure);
    const cpu = cpuOf(server.processes()).own - before;
    if (bytes !== TLS_BYTES) throw new Error(`${name}: ${bytes} bytes came`);
    return [bytes / seconds / 1e6, (cpu / bytes) * 1e11, (peak.anonymous - idle) / MIB];
  },
};
