/** One program, many viewers: what a delivery costs, and how late it is. */
import { type BenchCase, column, running } from './case.ts';
import { nchan, runnel, websocketdTicker } from './peers.ts';
import { type Cpu, childrenOf, cpuOf, memoryOf } from './proc.ts';
import { type ViewersReport, watch } from './viewers.ts';

const VIEWERS = 1000;
/** As the packaged executable starts itself (`scripts/package/targets.mjs`): memory counts here. */
const AS_PACKAGED = { NODE_OPTIONS: '--max-semi-space-size=1' };
const MIB = 2 ** 20;

export const fanoutCase: BenchCase = {
  name: 'fanout',
  title: `${VIEWERS} viewers by WebSocket of a program that prints 100 lines of 100 bytes a second`,
  needs: ['gcc'],
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
  peers: [runnel('uws', AS_PACKAGED), runnel('node', AS_PACKAGED), nchan, websocketdTicker],
  async measure(_peer, service, { seconds, site }) {
    const { port, processes } = running(service);
    const zero: Cpu = { own: 0, programs: 0 };
    let [before, after] = [zero, zero];
    let [rss, pss] = [0, 0];
    let end: Extract<ViewersReport, { kind: 'end' }> | undefined;
    await watch(site, { port, path: '/watch', viewers: VIEWERS, warmUp: 1, seconds }, (report) => {
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
