/** One camera, many viewers: what a picture of 100 KB costs for each, beside a sender in C that does nothing else. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../support/ports.ts';
import { type BenchCase, column, running } from './case.ts';
import { MAIN, type Peer } from './peers.ts';
import { type Cpu, cpuOf, memoryOf } from './proc.ts';
import { startService } from './service.ts';
import type { Site } from './site.ts';

const VIEWERS = 100;
const STALLED = 20;
const PICTURE = 100_000;
const MIB = 2 ** 20;

const program = (site: Site): string => join(site.folder, 'pictures');

function peer(name: string, prepare: Peer['prepare']): Peer {
  return { name, needs: [], secure: false, prepare, start: async (site) => await startService(await prepare(site)) };
}

const bare = peer('a bare sender in C', async (site) => {
  const port = await freePort();
  return { name: 'bare', port, folder: site.folder, command: [program(site), 'send', String(port)] };
});

function runnel(engine: 'uws' | 'node', main = MAIN): Peer {
  const name = `runnel (${engine})`;
  const made = peer(name, async (site) => {
    const port = await freePort();
    const file = join(site.folder, `pictures-${engine}-${port}.toml`);
    const lines = [
      `listen = [{ address = "127.0.0.1:${port}", engine = "${engine}" }]`,
      'log = { level = "error", requests = false }',
      `stream."/cam" = { command = ["${program(site)}", "print"], framing = "jpeg", share = "all" }`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const start: [string, ...string[]] = main.endsWith('.js') ? [process.execPath, main] : [main];
    const env = { NODE_OPTIONS: '--max-semi-space-size=1' };
    return { name, port, folder: site.folder, command: [...start, 'serve', '-c', file], env };
  });
  return { ...made, built: (other, suffix) => ({ ...runnel(engine, other), name: `${name}${suffix}` }) };
}

export const picturesCase: BenchCase = {
  name: 'pictures',
  title: `${VIEWERS} viewers as <img> of 30 pictures of 100 KB a second, and ${STALLED} that read nothing`,
  needs: ['gcc'],
  columns: [
    column('pictures/s', 0, false),
    column('server CPU µs each', 1),
    column('server CPU %', 0, false),
    column('RSS MiB', 1),
  ],
  peers: [bare, runnel('uws'), runnel('node')],
  async measure(_peer, service, { seconds, site }) {
    const { port, processes } = running(service);
    const order = [port, '/cam', VIEWERS, STALLED, 1, seconds].map(String);
    const viewers = spawn(program(site), ['view', ...order], { stdio: ['pipe', 'pipe', 'inherit'] });
    let before: Cpu = { own: 0, programs: 0 };
    let after = before;
    let [bytes, rss] = [0, 0];
    for await (const line of createInterface({ input: viewers.stdout })) {
      if (line === 'begin') before = cpuOf(processes());
      if (!line.startsWith('end')) continue;
      after = cpuOf(processes());
      rss = memoryOf(processes()).rss;
      bytes = Number(line.split(' ')[1]);
      viewers.stdin.end();
    }
    if (viewers.exitCode === null) await once(viewers, 'exit');
    const pictures = bytes / PICTURE;
    const own = after.own - before.own;
    return [pictures / seconds, (own / pictures) * 1e6, (own / seconds) * 100, rss / MIB];
  },
};
