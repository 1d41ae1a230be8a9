/** `npm run bench`: measures runnel and its peers side by side. See docs/bench.md. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchCase } from './case.ts';
import { connectionCases } from './connection-cases.ts';
import { downloadCase, downloadTlsCase } from './download-case.ts';
import { echoCases } from './echo-cases.ts';
import { machineFacts } from './facts.ts';
import { fanoutCases, fanoutTlsCase } from './fanout-case.ts';
import { httpCases } from './http-cases.ts';
import { idleCase, idleTlsCase } from './idle-case.ts';
import { notModifiedCase } from './not-modified-case.ts';
import type { Peer } from './peers.ts';
import { picturesCase } from './pictures-case.ts';
import { installMissing, missingPrograms } from './programs.ts';
import { proxyCases } from './proxy-cases.ts';
import { publishCases } from './publish-case.ts';
import { runCase } from './rounds.ts';
import { makeSite } from './site.ts';
import { stallCase } from './stall-case.ts';
import { startCase } from './start-case.ts';
import { tableOf } from './table.ts';
import { visitCases } from './visit-case.ts';

const CASES: readonly BenchCase[] = [
  ...httpCases,
  notModifiedCase,
  downloadCase,
  ...echoCases,
  ...visitCases,
  ...fanoutCases,
  picturesCase,
  ...publishCases,
  idleCase,
  stallCase,
  startCase,
  ...proxyCases,
  ...connectionCases,
  downloadTlsCase,
  fanoutTlsCase,
  idleTlsCase,
];

const USAGE = `npm run bench -- [--quick] [--rounds N] [--seconds N] [--program FILE] [--before FILE] [--install] [CASE…]
  CASE       runs the cases whose name begins so: ${CASES.map(({ name }) => name).join(' ')}
  --quick    two rounds of one second
  --rounds   how often each server is measured (5)
  --seconds  how long each time (3)
  --program  what is measured as runnel, a main.js or an executable (dist/src/main.js)
  --before   an older one, measured beside as "runnel (…) before"
  --install  installs peers and tools that are missing, with apt-get
`;

/** A server, and where it is ourselves and an older build was named, that beside it. */
function versions(peer: Peer, { program, before }: { readonly program?: string; readonly before?: string }): Peer[] {
  if (peer.built === undefined) return [peer];
  const ours = program === undefined ? peer : peer.built(resolve(program), '');
  return before === undefined ? [ours] : [ours, peer.built(resolve(before), ' before')];
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      program: { type: 'string' },
      before: { type: 'string' },
      install: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const wanted = CASES.filter(
    ({ name }) => positionals.length === 0 || positionals.some((part) => name.startsWith(part)),
  ).map((bench) => ({ ...bench, peers: bench.peers.flatMap((peer) => versions(peer, values)) }));
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
  const seconds = Number(values.seconds ?? (values.quick ? 1 : 3));
  if (values.help || wanted.length === 0 || !(rounds >= 1) || !(seconds >= 1)) {
    process.stdout.write(USAGE);
    return values.help ? 0 : 2;
  }
  if (values.install) installMissing();
  const missing = missingPrograms();
  if (missing.length > 0) console.error(`not installed: ${missing.join(', ')}; --install installs them`);
  process.stdout.write(`${machineFacts()}; ${rounds} rounds of ${seconds} s. No logs on either side.\n\n`);
  const stopping = new AbortController();
  // Not at once: what was started must be ended first.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stopping.abort(new Error(name)));
  const { signal } = stopping;
  const site = makeSite();
  try {
    let failed = 0;
    for (const bench of wanted) {
      if (signal.aborted) break;
      try {
        process.stdout.write(`${tableOf(bench, await runCase(bench, rounds, { site, seconds, signal }))}\n`);
      } catch (error) {
        // The others may still tell something.
        console.error(`${bench.name} failed:`, error);
        failed = 1;
      }
    }
    return signal.aborted ? 1 : failed;
  } finally {
    site.remove();
  }
}

process.exitCode = await main();
