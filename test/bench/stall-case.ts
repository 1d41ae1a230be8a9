/** Does starting programs hold up everybody else? A small file is asked for all the time, first alone, then beside 200 CGI starts a second. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchCase, column, running } from './case.ts';
import { runLoad } from './load-process.ts';
import type { LoopDelay } from './loop-delay.ts';
import type { PacedOrder, PacedReport } from './paced-load.ts';
import { lighttpd, nginxFcgiwrap, type Peer, runnel } from './peers.ts';
import type { Service } from './service.ts';
import type { Site } from './site.ts';

const STARTS_A_SECOND = 200;
const PROBES_A_SECOND = 400;
const SIGNAL_DEADLINE = 5000;

function delayFile(site: Site): string {
  return join(site.folder, 'loop-delay.json');
}

/** A gateway that knows its own delay. */
function watched(engine: 'uws' | 'node'): Peer {
  const { name, needs, secure } = runnel(engine);
  const within = (site: Site): Peer =>
    runnel(engine, {
      env: {
        NODE_OPTIONS: `--import=${new URL('./loop-delay.js', import.meta.url).href}`,
        BENCH_LOOP_DELAY: delayFile(site),
      },
    });
  const prepare: Peer['prepare'] = (site) => within(site).prepare(site);
  return { name, needs, secure, prepare, start: (site) => within(site).start(site) };
}

/** The delay since this was called last. */
async function loopDelay(service: Service, site: Site): Promise<LoopDelay> {
  if (!service.name.startsWith('runnel')) return { p99: Number.NaN, max: Number.NaN };
  const file = delayFile(site);
  rmSync(file, { force: true });
  for (const pid of service.processes()) process.kill(pid, 'SIGUSR2');
  for (const until = performance.now() + SIGNAL_DEADLINE; !existsSync(file); await sleep(5)) {
    if (performance.now() > until) throw new Error(`${service.name} does not tell its delay`);
  }
  return JSON.parse(readFileSync(file, 'utf8')) as LoopDelay;
}

async function paced(order: PacedOrder): Promise<PacedReport> {
  let result: PacedReport | undefined;
  await runLoad<PacedReport>('paced-load', order, (report) => {
    result = report;
  });
  if (result === undefined) throw new Error('the load client said nothing');
  return result;
}

export const stallCase: BenchCase = {
  name: 'stall',
  title: `A 1 KiB file asked for ${PROBES_A_SECOND} times a second, beside ${STARTS_A_SECOND} CGI starts a second`,
  needs: ['gcc'],
  columns: [
    column('CGI/s', 0, false),
    column('file p50 ms', 2),
    column('file p99 ms', 2),
    column('file max ms', 1, false),
    column('file p99 ms without CGI', 2),
    column('loop delay p99 ms', 2, false),
    column('loop delay max ms', 1, false),
  ],
  peers: [watched('uws'), watched('node'), lighttpd, nginxFcgiwrap],
  async measure(_peer, service, { seconds, site }) {
    const server = running(service);
    const probe = { port: server.port, path: '/1k.bin', rate: PROBES_A_SECOND, seconds };
    const alone = await paced(probe);
    await loopDelay(server, site);
    const starts = { port: server.port, path: '/cgi-bin/hello', rate: STARTS_A_SECOND, seconds: seconds + 0.5 };
    const [cgi, file] = await Promise.all([paced(starts), paced(probe)]);
    const delay = await loopDelay(server, site);
    return [cgi.rate, file.p50, file.p99, file.max, alone.p99, delay.p99, delay.max];
  },
};
