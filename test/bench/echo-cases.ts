/** WebSocket echo through `cat`: many messages under way for the rate, one at a time for the delay. */
import { type BenchCase, column, running } from './case.ts';
import type { EchoOrder, EchoReport } from './echo-load.ts';
import { runLoad } from './load-process.ts';
import { bareEcho, bareEchoTls, type Peer, runnel, websocketd, websocketdTls } from './peers.ts';
import { type Cpu, cpuOf } from './proc.ts';
import type { Service } from './service.ts';

/** Messages under way on a connection where the rate is measured. */
const WINDOW = 32;

export interface EchoResult {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly share: number;
  /** Microseconds of CPU time for a message. */
  readonly server: number;
  readonly programs: number;
}

/** One load on one server. */
export async function echo(service: Service, order: EchoOrder): Promise<EchoResult> {
  const zero: Cpu = { own: 0, programs: 0 };
  let before = zero;
  let after = zero;
  let end: Extract<EchoReport, { kind: 'end' }> | undefined;
  await runLoad<EchoReport>('echo-load', order, (report) => {
    const now = cpuOf(service.processes());
    if (report.kind === 'begin') before = now;
    else {
      after = now;
      end = report;
    }
  });
  if (end === undefined) throw new Error('the load client said nothing');
  const each = (spent: number): number => (spent / (end === undefined ? 1 : end.rate * order.seconds)) * 1e6;
  return { ...end, server: each(after.own - before.own), programs: each(after.programs - before.programs) };
}

function echoCase(connections: number, name: string, what: string, peers: readonly Peer[]): BenchCase {
  return {
    name,
    title: `${what} through cat, 64 bytes, ${connections} connection${connections === 1 ? '' : 's'}`,
    needs: [],
    columns: [
      column(`messages/s, ${WINDOW} under way`, 0),
      column('server CPU µs each', 1),
      column('cat µs each', 1, false),
      column('client CPU %', 0, false),
      column('messages/s, 1 under way', 0),
      column('server CPU µs each', 1),
      column('p50 ms', 3),
      column('p99 ms', 3),
    ],
    peers,
    async measure({ secure }, service, { seconds }) {
      const server = running(service);
      const order = { port: server.port, path: '/echo', secure, connections, warmUp: 0.5, seconds };
      const many = await echo(server, { ...order, window: WINDOW });
      const one = await echo(server, { ...order, window: 1 });
      const programs = many.programs || Number.NaN;
      return [many.rate, many.server, programs, many.share * 100, one.rate, one.server, one.p50, one.p99];
    },
  };
}

const PLAIN = [runnel('uws'), runnel('node'), websocketd, bareEcho];
/** The first row is plain: what TLS adds. */
const SECURE = [
  runnel('auto', { schemes: true }),
  runnel('auto', { secure: true, schemes: true }),
  runnel('node', { secure: true, schemes: true }),
  websocketdTls,
  bareEchoTls,
];

export const echoCases: readonly BenchCase[] = [
  echoCase(1, 'echo-1', 'WebSocket echo', PLAIN),
  echoCase(50, 'echo-50', 'WebSocket echo', PLAIN),
  echoCase(50, 'tls-echo', 'WebSocket echo over TLS, beside one row without,', SECURE),
];
