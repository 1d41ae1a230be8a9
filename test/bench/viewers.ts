/** Viewers of a stream in a process of their own (`viewers.c`). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Where the program lies. */
export interface Compiled {
  readonly folder: string;
}

export interface ViewersOrder {
  readonly port: number;
  readonly path: string;
  readonly viewers: number;
  /** Whether they speak TLS. */
  readonly secure?: boolean;
}

export interface Watching extends ViewersOrder {
  /** Seconds. */
  readonly warmUp: number;
  readonly seconds: number;
}

/** What they say, in this order. */
export type ViewersReport =
  | {
      readonly kind: 'connected';
      /** How many could not connect. */
      readonly failures: number;
      readonly seconds: number;
    }
  | { readonly kind: 'begin' }
  | {
      readonly kind: 'end';
      /** Lines that came to a viewer, while it was measured. */
      readonly deliveries: number;
      /** Of those, how many a second. */
      readonly rate: number;
      /** Milliseconds from printing a line to its arrival. */
      readonly p50: number;
      readonly p99: number;
      /** Lines that did not come or came out of order, and viewers that were not there until the end. */
      readonly lost: number;
      /** Share of one core that the client used. */
      readonly share: number;
    };

/** Viewers that are there until they are sent away. */
export interface Idle {
  readonly failures: number;
  /** Seconds that it took all of them to connect. */
  readonly seconds: number;
  leave(): Promise<void>;
}

/** Watches what the program `ticker` prints; each thing that the client says is handed to `said` as it comes. */
export async function watch(site: Compiled, order: Watching, said: (report: ViewersReport) => void): Promise<void> {
  const { child, lines } = start(site, order, [order.warmUp, order.seconds]);
  const exited = once(child, 'exit');
  for await (const line of lines) {
    const report = JSON.parse(line) as ViewersReport;
    said(report);
    // It stays until then, so that `said` finds the server with all of them.
    if (report.kind === 'end') child.stdin.end();
  }
  const [code, signal] = await exited;
  if (code !== 0) throw new Error(`the viewers failed: ${code ?? signal}`);
}

/** Resolves when all are connected that can be. */
export async function idle(site: Compiled, order: ViewersOrder): Promise<Idle> {
  const { child, lines } = start(site, order, []);
  const exited = once(child, 'exit');
  const leave = async (): Promise<void> => {
    child.stdin.end();
    await exited;
  };
  const { value } = await lines[Symbol.asyncIterator]().next();
  const report = value === undefined ? undefined : (JSON.parse(value) as ViewersReport);
  if (report?.kind !== 'connected') throw new Error('the viewers failed');
  return { failures: report.failures, seconds: report.seconds, leave };
}

function start(site: Compiled, { port, path, viewers, secure = false }: ViewersOrder, more: readonly number[]) {
  const args = [port, path, viewers, ...more].map(String);
  const child = spawn(join(site.folder, secure ? 'tls-viewers' : 'viewers'), args, {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return { child, lines: createInterface({ input: child.stdout }) };
}
