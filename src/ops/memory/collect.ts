/** Calls V8's garbage collector. V8 itself knows nothing of a control group's limit, and lets the heap grow until long after it. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options?: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;

/** V8 of Node 20 takes any argument as a wish for a small collection. */
const KNOWS_OPTIONS = Number.parseInt(process.versions.v8, 10) >= 12;

/** The single executable has the function from its start; elsewhere a fresh context is how to get it. */
function find(): Collect {
  if (globalThis.gc !== undefined) return globalThis.gc as unknown as Collect;
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collect;
}

/** Frees what nothing refers to, for objects to come: about 10 ms for a heap of 10 MB on x64. */
export function collect(): void {
  find()();
}

/** Frees all that can be freed and gives it back to the system: about 25 ms. */
export function collectAll(): void {
  const gc = find();
  if (KNOWS_OPTIONS) gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  else gc();
}

/** The same, and what functions were compiled to; those that run again are compiled again. */
export function forgetStart(): void {
  setFlagsFromString('--stress-flush-code');
  try {
    collectAll();
  } finally {
    setFlagsFromString('--no-stress-flush-code');
  }
}
