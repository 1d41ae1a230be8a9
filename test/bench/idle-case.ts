/** What viewers of a quiet stream cost, and whether many can be there. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchCase, column } from './case.ts';
import { nchan, type Peer, runnel } from './peers.ts';
import { memoryOf } from './proc.ts';
import { startService } from './service.ts';
import type { Site } from './site.ts';
import { idle } from './viewers.ts';

const VIEWERS = 5000;
/** Those that first bring a server to life. */
const FIRST = 200;
/** Milliseconds until it has come to rest. */
const SETTLE = 2000;
/** As the packaged executable starts itself (`scripts/package/targets.mjs`): memory counts here. */
const AS_PACKAGED = { NODE_OPTIONS: '--max-semi-space-size=1' };
const MIB = 2 ** 20;

async function measured(peer: Peer, site: Site): Promise<readonly number[]> {
  const service = await startService(await peer.prepare(site));
  const order = { port: service.port, path: '/quiet', viewers: VIEWERS };
  const memory = async (): Promise<{ readonly rss: number; readonly anonymous: number }> => {
    await sleep(SETTLE);
    return memoryOf(service.processes());
  };
  try {
    const first = await idle(site, { ...order, viewers: FIRST });
    const before = await memory();
    const some = await idle(site, order);
    const after = await memory();
    const more = await idle(site, { ...order, viewers: VIEWERS - FIRST });
    const full = await memory();
    const failures = first.failures + some.failures + more.failures;
    for (const viewers of [first, some, more]) await viewers.leave();
    return [
      (after.anonymous - before.anonymous) / VIEWERS,
      (full.anonymous - before.anonymous) / (2 * VIEWERS - FIRST),
      before.rss / MIB,
      after.rss / MIB,
      full.rss / MIB,
      VIEWERS / some.seconds,
      failures,
    ];
  } finally {
    await service.stop();
  }
}

export const idleCase: BenchCase = {
  name: 'idle',
  title: `${VIEWERS} viewers by WebSocket of a program that prints nothing, then ${2 * VIEWERS}`,
  needs: ['gcc'],
  columns: [
    column(`bytes a viewer, at ${VIEWERS}`, 0),
    column(`bytes a viewer, at ${2 * VIEWERS}`, 0),
    column(`RSS MiB with ${FIRST}`, 1),
    column(`with ${VIEWERS + FIRST}`, 1),
    column(`with ${2 * VIEWERS}`, 1),
    column('viewers/s', 0),
    column('not connected', 0, false),
  ],
  peers: [runnel('uws', AS_PACKAGED), runnel('node', AS_PACKAGED), nchan],
  startsItself: true,
  measure: (peer, _service, { site }) => measured(peer, site),
};
