/** Connections of one request each, made by a process of its own (`connections.c`). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { cpuOf } from './proc.ts';
import type { Service } from './service.ts';
import type { Site } from './site.ts';

/** Connections that are open at any time. */
const PARALLEL = 32;
/** Seconds. */
const WARM_UP = 0.3;

/** A handshake of TLS, and whether sessions are resumed. */
export interface Handshake {
  readonly version: '1.2' | '1.3';
  readonly resumed: boolean;
}

export interface Connections {
  readonly rate: number;
  /** Microseconds of the server's CPU time for each. */
  readonly each: number;
  /** Share of one core that the client used. */
  readonly share: number;
}

interface End {
  readonly kind: 'end';
  readonly connections: number;
  readonly rate: number;
  readonly failed: number;
  /** Share of the connections that resumed a session. */
  readonly resumed: number;
  readonly share: number;
}

/** @param handshake undefined: plain. Throws when a connection had no answer, or was resumed where it should not have been, or the reverse. */
export async function connections(
  site: Site,
  { name, port, processes }: Service,
  path: string,
  seconds: number,
  handshake?: Handshake,
): Promise<Connections> {
  const tls = handshake && [handshake.version, handshake.resumed ? 'resumed' : 'full'];
  const args = [port, path, PARALLEL, WARM_UP, seconds, ...(tls ?? [])].map(String);
  const child = spawn(join(site.folder, tls ? 'tls-connections' : 'connections'), args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let before = 0;
  let after = 0;
  let end: End | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const report = JSON.parse(line) as { readonly kind: 'begin' } | End;
    after = cpuOf(processes()).own;
    if (report.kind === 'begin') before = after;
    else end = report;
  }
  const [code, signal] = await exited;
  if (end === undefined) throw new Error(`the connections failed: ${code ?? signal}`);
  const what = `${name}, ${tls?.join(' ') ?? 'plain'}`;
  if (end.failed > 0 || end.connections === 0) throw new Error(`${what}: ${end.failed} connections without an answer`);
  // The first of each have no session yet.
  const wrong = handshake?.resumed ? end.connections * (1 - end.resumed) - 2 * PARALLEL : end.connections * end.resumed;
  if (wrong > 0.05 * end.connections)
    throw new Error(`${what}: ${Math.round(end.resumed * 100)} % of the sessions were resumed`);
  return { rate: end.rate, each: ((after - before) / end.connections) * 1e6, share: end.share };
}
