/** A little of the fuzzing in every run, always with other cases; `npm run fuzz` does a million. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hunt } from './hunt.ts';
import { TARGETS } from './targets.ts';
import { sendRubbish } from './wire.ts';

const start = Math.floor(Date.now() / 1000) % 1_000_000_000;

for (const target of TARGETS) {
  test(`fuzz: ${target.name}`, (t) => {
    const { cases } = hunt(target, start, { cases: 20_000, milliseconds: 1500 });
    assert(cases > 0);
    t.diagnostic(`${cases} cases from ${start}`);
  });
}

for (const engine of ['uws', 'node'] as const) {
  test(`fuzz: what comes over the wire, ${engine}`, async (t) => {
    const { cases } = await sendRubbish(engine, start, { cases: 2000, milliseconds: 2500 });
    t.diagnostic(`${cases} cases from ${start}`);
  });
}
