/** HTTP load by wrk(1): C, one thread. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { reapedCpu } from './proc.ts';
import { whereIs } from './programs.ts';

export interface HttpLoad {
  /** Answers a second. */
  readonly rate: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Share of one core that wrk itself used: near 1 it would be what limits the rate. */
  readonly share: number;
}

/** How a request differs from a GET. */
export interface HttpWish {
  readonly headers?: readonly string[];
  /** A script of wrk's that says what is sent. */
  readonly script?: string;
}

/** Throws when an answer was not 2xx or 3xx, or a connection broke. */
export async function wrk(
  url: string,
  connections: number,
  seconds: number,
  { headers = [], script }: HttpWish = {},
): Promise<HttpLoad> {
  const program = whereIs('wrk');
  if (program === undefined) throw new Error('wrk is not installed');
  const before = reapedCpu();
  const args = [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--latency',
    ...headers.flatMap((field) => ['-H', field]),
    ...(script === undefined ? [] : ['-s', script]),
    url,
  ];
  const { stdout } = await promisify(execFile)(program, args);
  const share = (reapedCpu() - before) / seconds;
  const trouble = /^ *(Non-2xx.*|Socket errors.*)$/m.exec(stdout)?.[1];
  if (trouble !== undefined) throw new Error(`${url}: ${trouble}`);
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  return { rate, p50: percentile(stdout, 50), p99: percentile(stdout, 99), share };
}

function percentile(text: string, which: number): number {
  const match = new RegExp(`^ +${which}% +([\\d.]+)(us|ms|s|m)$`, 'm').exec(text);
  const factor = { us: 0.001, ms: 1, s: 1000, m: 60_000 }[match?.[2] ?? ''] ?? Number.NaN;
  return Number(match?.[1]) * factor;
}
