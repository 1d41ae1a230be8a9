/** `npm run fuzz [CASES] [START]`: a million cases over all targets, unless told otherwise. Ends with 1 at the first that fails. */
import { hunt } from './hunt.ts';
import { TARGETS } from './targets.ts';
import { sendRubbish } from './wire.ts';

const cases = Number(process.argv[2] ?? 1_000_000);
const start = Number(process.argv[3] ?? Math.floor(Date.now() / 1000) % 1_000_000_000);
const each = Math.ceil(cases / TARGETS.length);
/** More than the heap may be larger afterwards, bytes. */
const LEAK = 64 << 20;

async function main(): Promise<void> {
  console.log(`${each} cases for each of ${TARGETS.length} targets, from number ${start} on`);
  for (const target of TARGETS) {
    const before = heap();
    const from = Date.now();
    hunt(target, start, { cases: each, milliseconds: Number.POSITIVE_INFINITY });
    const grown = heap() - before;
    console.log(
      `${target.name}: ${Math.round((Date.now() - from) / 1000)} s, heap ${grown >= 0 ? '+' : ''}${grown >> 10} KiB`,
    );
    if (grown > LEAK) throw new Error(`${target.name} keeps ${grown} bytes`);
  }
  for (const engine of ['uws', 'node'] as const) {
    const few = Math.ceil(each / 20);
    await sendRubbish(engine, start, { cases: few, milliseconds: Number.POSITIVE_INFINITY });
    console.log(`over the wire, ${engine}: ${few} cases`);
  }
}

function heap(): number {
  global.gc?.();
  return process.memoryUsage().heapUsed;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
