/** Runs a case: all its servers at once, one measured at a time, in turns, so that what disturbs the machine disturbs all of them. */
import type { BenchCase, Context } from './case.ts';
import type { Peer } from './peers.ts';
import { whereIs } from './programs.ts';
import type { Service } from './service.ts';

/** Of one server: a row of numbers for each round. */
export interface Result {
  readonly peer: Peer;
  readonly rounds: (readonly number[])[];
}

export interface CaseResult {
  readonly results: readonly Result[];
  /** What was left out, and why. */
  readonly left: readonly string[];
}

export async function runCase(bench: BenchCase, rounds: number, context: Context): Promise<CaseResult> {
  const missing = bench.needs.filter((program) => whereIs(program) === undefined);
  if (missing.length > 0) return { results: [], left: [`all of it: ${missing.join(', ')} not installed`] };
  const left: string[] = [];
  const peers = bench.peers.filter((peer) => {
    const lacking = peer.needs.filter((program) => whereIs(program) === undefined);
    if (lacking.length > 0) left.push(`${peer.name}: ${lacking.join(', ')} not installed`);
    return lacking.length === 0;
  });
  const services = new Map<Peer, Service>();
  const results = peers.map((peer): Result => ({ peer, rounds: [] }));
  try {
    if (!bench.startsItself) for (const peer of peers) services.set(peer, await peer.start(context.site));
    for (let round = 0; round < rounds; round++) {
      // Forwards and backwards, so that nobody always comes after the same one.
      for (const result of round % 2 === 0 ? results : results.toReversed()) {
        context.signal.throwIfAborted();
        result.rounds.push(await bench.measure(result.peer, services.get(result.peer), context));
      }
    }
  } finally {
    for (const service of services.values()) await service.stop();
  }
  return { results, left };
}
