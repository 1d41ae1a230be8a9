/** One program, many viewers: what a delivery costs, and how late it is. */
import { type BenchCase, column, running } from './case.ts';
import { BURST, nchan, nchanBurst, nchanTls, type Peer, runnel, websocketdTicker } from './peers.ts';
import { type Cpu, childrenOf, cpuOf, memoryOf } from './proc.ts';
import { OPENSSL } from './programs.ts';
import { subscribed } from './subscribed-peer.ts';
import { type ViewersReport, watch } from './viewers.ts';

const VIEWERS = 1000;
const MIB = 2 ** 20;

const STEADY = 'a program that prints 100 lines of 100 bytes a second';
const BURSTS = `a program that prints ${BURST} lines of 100 bytes at once, twice a second`;

const PACKAGED = { packaged: true };
const BOTH = { packaged: true, schemes: true };

export const fanoutCases: readonly BenchCase[] = [
  fanout({
    name: 'fanout',
    transport: 'WebSocket',
    needs: ['gcc'],
    peers: [runnel('uws', PACKAGED), runnel('node', PACKAGED), nchan, websocketdTicker],
  }),
  fanout({
    name: 'fanout-events',
    transport: 'event streams',
    path: 'events:/watch',
    needs: ['gcc'],
    peers: [runnel('uws', PACKAGED), runnel('node', PACKAGED), nchan],
  }),
  // The upstream is another runnel with that program, and is not measured.
  fanout({
    name: 'fanout-subscribed',
    transport: 'WebSocket',
    needs: ['gcc'],
    peers: [runnel('uws', PACKAGED), subscribed('http'), subscribed('ws')],
  }),
  fanout({
    name: 'fanout-burst',
    transport: 'WebSocket',
    prints: BURSTS,
    path: '/burst',
    needs: ['gcc'],
    peers: [runnel('uws', PACKAGED), runnel('node', PACKAGED), nchanBurst],
  }),
  fanout({
    name: 'fanout-events-burst',
    transport: 'event streams',
    prints: BURSTS,
    path: 'events:/burst',
    needs: ['gcc'],
    peers: [runnel('uws', PACKAGED), runnel('node', PACKAGED), nchanBurst],
  }),
];

/** The first row is plain: what TLS adds. */
export const fanoutTlsCase = fanout({
  name: 'tls-fanout',
  transport: 'WebSocket over TLS, beside one row without',
  needs: ['gcc', OPENSSL],
  peers: [
    runnel('auto', BOTH),
    runnel('auto', { ...BOTH, secure: true }),
    runnel('node', { ...BOTH, secure: true }),
    nchanTls,
  ],
});

interface Fanout {
  readonly name: string;
  readonly transport: string;
  readonly prints?: string;
  /** For `viewers.c`. */
  readonly path?: string;
  readonly needs: readonly string[];
  readonly peers: readonly Peer[];
}

function fanout({ name, transport, prints = STEADY, path = '/watch', needs, peers }: Fanout): BenchCase {
  return {
    name,
    title: `${VIEWERS} viewers by ${transport}, of ${prints}`,
    needs,
    columns: [
      column('deliveries/s', 0, false),
      column('server CPU µs each', 2),
      column('server CPU %', 0, false),
      column('programs CPU %', 0, false),
      column('p50 ms', 2),
      column('p99 ms', 2),
      column('RSS MiB', 1),
      column('PSS with programs MiB', 1),
      column('lost', 0, false),
      column('client CPU %', 0, false),
    ],
    peers,
    async measure({ secure }, service, { seconds, site }) {
      const { port, processes } = running(service);
      const zero: Cpu = { own: 0, programs: 0 };
      let [before, after] = [zero, zero];
      let [rss, pss] = [0, 0];
      let end: Extract<ViewersReport, { kind: 'end' }> | undefined;
      await watch(site, { port, path, viewers: VIEWERS, secure, warmUp: 1, seconds }, (report) => {
        if (report.kind === 'begin') before = cpuOf(processes());
        if (report.kind !== 'end') return;
        after = cpuOf(processes());
        end = report;
        const server = processes();
        rss = memoryOf(server).rss;
        pss = memoryOf([...new Set([...server, ...server.flatMap(childrenOf)])]).pss;
      });
      if (end === undefined) throw new Error('the viewers said nothing');
      const own = after.own - before.own;
      const programs = (after.programs - before.programs) / seconds;
      return [
        end.rate,
        (own / end.deliveries) * 1e6,
        (own / seconds) * 100,
        programs > 0 ? programs * 100 : Number.NaN,
        end.p50,
        end.p99,
        rss / MIB,
        pss / MIB,
        end.lost,
        end.share * 100,
      ];
    },
  };
}
