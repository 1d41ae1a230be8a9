/** Viewers who come for one message: a program is started for each, and ends when he leaves. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type BenchCase, column, running } from './case.ts';
import { runnel, websocketd } from './peers.ts';
import { type Cpu, cpuOf } from './proc.ts';

/** Seconds. */
const WARM_UP = 0.5;

/** What `visits.c` says, in this order. */
type Report =
  | { readonly kind: 'begin' }
  | {
      readonly kind: 'end';
      readonly visits: number;
      readonly rate: number;
      /** Milliseconds from connecting to the end of the connection. */
      readonly p50: number;
      readonly p99: number;
      readonly failed: number;
    };

function visitCase(name: string, parallel: number, when: string): BenchCase {
  return {
    name,
    title: `WebSocket: open, one message through a cat of its own, close; ${when}`,
    needs: ['gcc'],
    columns: [
      column('visits/s', 0),
      column('p50 ms', 2),
      column('p99 ms', 2),
      column('server CPU µs each', 0),
      column('cat µs each', 0),
      column('both µs each', 0),
      column('failed', 0, false),
    ],
    peers: [runnel('uws'), runnel('node'), websocketd],
    async measure(_peer, service, { site, seconds }) {
      const { port, processes } = running(service);
      const args = [port, '/echo', parallel, WARM_UP, seconds].map(String);
      const child = spawn(join(site.folder, 'visits'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
      const exited = once(child, 'exit');
      const zero: Cpu = { own: 0, programs: 0 };
      let [before, after] = [zero, zero];
      let end: Extract<Report, { kind: 'end' }> | undefined;
      for await (const line of createInterface({ input: child.stdout })) {
        const report = JSON.parse(line) as Report;
        after = cpuOf(processes());
        if (report.kind === 'begin') before = after;
        else end = report;
      }
      const [code, signal] = await exited;
      if (end === undefined) throw new Error(`the visits failed: ${code ?? signal}`);
      const { visits } = end;
      const each = (spent: number): number => (spent / visits) * 1e6;
      const own = each(after.own - before.own);
      const programs = each(after.programs - before.programs);
      return [end.rate, end.p50, end.p99, own, programs, own + programs, end.failed];
    },
  };
}

export const visitCases: readonly BenchCase[] = [
  visitCase('visits-1', 1, 'one after the other'),
  visitCase('visits-8', 8, '8 at a time'),
];
