/** Asks for one path at a fixed pace and reports how long the answers took. A process of its own. */
import { Agent, get } from 'node:http';
import { percentile } from './table.ts';

export interface PacedOrder {
  readonly port: number;
  readonly path: string;
  /** Requests a second. One that is due is sent whether or not earlier ones have been answered. */
  readonly rate: number;
  readonly seconds: number;
}

export interface PacedReport {
  /** Answers a second. */
  readonly rate: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

function ask(agent: Agent, order: PacedOrder): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const request = get({ host: '127.0.0.1', port: order.port, path: order.path, agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${order.path}: ${response.statusCode}`));
      response.resume().once('end', () => resolve(performance.now() - began));
    });
    request.once('error', reject);
  });
}

async function run(order: PacedOrder): Promise<PacedReport> {
  const agent = new Agent({ keepAlive: true });
  const times: Promise<number>[] = [];
  const began = performance.now();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const elapsed = (performance.now() - began) / 1000;
      for (let due = Math.floor(elapsed * order.rate) - times.length; due > 0; due--) times.push(ask(agent, order));
      if (elapsed < order.seconds) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  const sorted = Float64Array.from(await Promise.all(times)).sort();
  const rate = (sorted.length / (performance.now() - began)) * 1000;
  agent.destroy();
  return { rate, p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: percentile(sorted, 1) };
}

process.send?.(await run(JSON.parse(process.argv[2] ?? '') as PacedOrder));
process.disconnect();
