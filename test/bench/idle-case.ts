/** What viewers of a quiet stream cost, and whether many can be there. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchCase, column } from './case.ts';
import { nchan, nchanTls, type Peer, runnel } from './peers.ts';
import { memoryOf } from './proc.ts';
import { OPENSSL } from './programs.ts';
import { startService } from './service.ts';
import type { Site } from './site.ts';
import { idle } from './viewers.ts';

/** Those that first bring a server to life. */
const FIRST = 200;
/** Milliseconds until it has come to rest. */
const SETTLE = 2000;
const MIB = 2 ** 20;

async function measured(peer: Peer, site: Site, few: number, many: number): Promise<readonly number[]> {
  const service = await startService(await peer.prepare(site));
  const order = { port: service.port, path: '/quiet', viewers: few, secure: peer.secure };
  const memory = async (): Promise<{ readonly rss: number; readonly anonymous: number }> => {
    await sleep(SETTLE);
    return memoryOf(service.processes());
  };
  try {
    const first = await idle(site, { ...order, viewers: FIRST });
    const before = await memory();
    const some = await idle(site, order);
    const after = await memory();
    const more = await idle(site, { ...order, viewers: many - few });
    const full = await memory();
    const failures = first.failures + some.failures + more.failures;
    for (const viewers of [first, some, more]) await viewers.leave();
    return [
      (after.anonymous - before.anonymous) / few,
      (full.anonymous - before.anonymous) / many,
      before.rss / MIB,
      after.rss / MIB,
      full.rss / MIB,
      few / some.seconds,
      failures,
    ];
  } finally {
    await service.stop();
  }
}

interface Idling {
  readonly name: string;
  readonly transport: string;
  readonly needs: readonly string[];
  /** The first, and all of them. */
  readonly few: number;
  readonly many: number;
  readonly peers: readonly Peer[];
}

function idling({ name, transport, needs, few, many, peers }: Idling): BenchCase {
  return {
    name,
    title: `${few} viewers by ${transport} of a program that prints nothing, then ${many}`,
    needs,
    columns: [
      column(`bytes a viewer, at ${few}`, 0),
      column(`bytes a viewer, at ${many}`, 0),
      column(`RSS MiB with ${FIRST}`, 1),
      column(`with ${few + FIRST}`, 1),
      column(`with ${many + FIRST}`, 1),
      column('viewers/s', 0),
      column('not connected', 0, false),
    ],
    peers,
    startsItself: true,
    measure: (peer, _service, { site }) => measured(peer, site, few, many),
  };
}

const PACKAGED = { packaged: true };
const BOTH = { packaged: true, schemes: true };

export const idleCase = idling({
  name: 'idle',
  transport: 'WebSocket',
  needs: ['gcc'],
  few: 5000,
  many: 10_000,
  peers: [runnel('uws', PACKAGED), runnel('node', PACKAGED), nchan],
});

/** The first row is plain: what TLS adds. */
export const idleTlsCase = idling({
  name: 'tls-idle',
  transport: 'WebSocket over TLS, beside one row without,',
  needs: ['gcc', OPENSSL],
  few: 1000,
  many: 5000,
  peers: [
    runnel('auto', BOTH),
    runnel('auto', { ...BOTH, secure: true }),
    runnel('node', { ...BOTH, secure: true }),
    nchanTls,
  ],
});
