/** From the start of the process to its first answer, and what it then keeps in memory. */
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchCase, column } from './case.ts';
import { lighttpd, nginx, runnel, websocketd } from './peers.ts';
import { childrenOf, cpuOf, memoryOf } from './proc.ts';
import { endGroup, spawnGroup } from './service.ts';

const DEADLINE = 10_000;
/** Milliseconds until it is idle. */
const SETTLE = 1500;
const KIB = 1024;

/** Whether it answers at all: websocketd without a page has only a 404 to say. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/1k.bin', agent: false }, (response) => {
      response.resume();
      resolve(true);
    });
    request.once('error', () => resolve(false));
  });
}

export const startCase: BenchCase = {
  name: 'start',
  title: 'From start to first answer; idle memory',
  needs: [],
  columns: [
    column('ms to first answer', 0),
    column('RSS KiB', 0),
    column('PSS KiB', 0),
    column('anonymous KiB', 0),
    column('CPU s to be idle', 2, false),
  ],
  peers: [runnel('uws'), runnel('node'), lighttpd, nginx, websocketd],
  startsItself: true,
  async measure(peer, _service, { site }) {
    const options = await peer.prepare(site);
    const began = performance.now();
    const child = spawnGroup(options);
    try {
      while (!(await answers(options.port))) {
        if (performance.now() - began > DEADLINE) throw new Error(`${peer.name} does not answer`);
        await sleep(1);
      }
      const first = performance.now() - began;
      await sleep(SETTLE);
      const pid = child.pid ?? 0;
      const server = options.workers ? [pid, ...childrenOf(pid)] : [pid];
      const { rss, pss, anonymous } = memoryOf(server);
      return [first, rss / KIB, pss / KIB, anonymous / KIB, cpuOf(server).own];
    } finally {
      await endGroup(child);
    }
  },
};
