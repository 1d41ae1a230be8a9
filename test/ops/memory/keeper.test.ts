import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { Log } from '../../../src/ops/log.ts';
import { MemoryKeeper, SMALL_MEMORY } from '../../../src/ops/memory/keeper.ts';

test('memory is small at and under the limit, where there is one', () => {
  const log = new Log({ format: 'plain', level: 'error', colour: false, descriptor: 2 });
  for (const [limit, small] of [
    [undefined, false],
    [SMALL_MEMORY + 1, false],
    [SMALL_MEMORY, true],
    [1, true],
  ] as const)
    assert.equal(new MemoryKeeper(limit, undefined, false, log).small, small, String(limit));
});

/** Is busy making garbage that only a full collection finds, until somebody has asked for four of them. */
const BUSY = `import { constants, PerformanceObserver } from 'node:perf_hooks';
import { MemoryKeeper } from 'KEEPER';
const lines = [];
const log = Object.fromEntries(['debug', 'info', 'warn', 'error'].map((level) => [level, (message) => lines.push(message)]));
let asked = 0;
const { NODE_PERFORMANCE_GC_FLAGS_FORCED, NODE_PERFORMANCE_GC_MAJOR } = constants;
new PerformanceObserver((list) => {
  for (const { detail } of list.getEntries())
    if (detail.kind === NODE_PERFORMANCE_GC_MAJOR && (detail.flags & NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0) asked += 1;
}).observe({ entryTypes: ['gc'] });
const keeper = new MemoryKeeper(LIMIT, undefined, false, log);
keeper.start();
let rows = [];
const deadline = Date.now() + 20_000;
const turn = setInterval(() => {
  for (let row = 0; row < 10_000; row += 1) rows.push({ row, text: [row] });
  if (rows.length > 100_000) rows = [];
  if (asked < 4 && Date.now() < deadline) return;
  clearInterval(turn);
  keeper.stop();
  console.log(JSON.stringify({ asked, lines }));
}, 20);`;

test('where memory is small the heap is collected again and again', () => {
  const keeper = new URL('../../../src/ops/memory/keeper.js', import.meta.url);
  const script = BUSY.replace('KEEPER', keeper.href).replace('LIMIT', String(SMALL_MEMORY));
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  const { asked, lines } = JSON.parse(run.stdout) as { asked: number; lines: string[] };
  assert.ok(asked >= 4, run.stdout);
  assert.ok(lines.includes('little memory: garbage is collected early'), run.stdout);
});

/**
 * Fills the C library's heap with small blocks between which others are freed, then lets half a minute pass. Prints what became resident with them, and
 * what of that went back.
 */
const HOLES = `import { mock } from 'node:test';
import { loadKoffi } from 'ADDON';
import { openAssets } from 'ASSETS';
import { MemoryKeeper } from 'KEEPER';
const log = { debug() {}, info() {}, warn() {}, error() {} };
mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
const keeper = new MemoryKeeper(undefined, loadKoffi(openAssets()), false, log);
keeper.start();
mock.timers.tick(250);
const before = process.memoryUsage.rss();
let blocks = Array.from({ length: 10_000 }, () => Buffer.allocUnsafeSlow(10_000).fill(1));
const kept = blocks.filter((_, index) => index % 10 === 0);
const full = process.memoryUsage.rss();
blocks = undefined;
// A thread frees what the first finds; the second waits for that.
gc();
gc();
const holes = process.memoryUsage.rss();
mock.timers.tick(30_000);
const after = process.memoryUsage.rss();
keeper.stop();
console.log(JSON.stringify({ came: full - before, stayed: holes - before, left: after - before, kept: kept.length }));`;

test('what is free between what is in use goes back after a load', () => {
  const of = (name: string) => new URL(`../../../src/${name}.js`, import.meta.url).href;
  const script = HOLES.replace('KEEPER', of('ops/memory/keeper'))
    .replace('ADDON', of('ops/addons/addon'))
    .replace('ASSETS', of('ops/assets'));
  const flags = ['--expose-gc', '--input-type=module', '-e', script];
  const run = spawnSync(process.execPath, flags, { encoding: 'utf8' });
  const { came, left } = JSON.parse(run.stdout) as { came: number; left: number };
  assert.ok(came > 90e6, run.stdout);
  assert.ok(left < came / 2, run.stdout);
});

test('what is not used is collected, with the function at hand or without; what was forgotten works again', () => {
  const collect = new URL('../../../src/ops/memory/collect.js', import.meta.url);
  for (const flags of [[], ['--expose-gc']]) {
    const script = `import { getHeapStatistics } from 'node:v8';
      import { collect, collectAll, forgetStart } from '${collect.href}';
      const add = (a, b) => a + b;
      const freed = [collect, collectAll, forgetStart].map((clean) => {
        let big = Array.from({ length: 300_000 }, (_, index) => ({ sum: add(index, 1) }));
        const before = getHeapStatistics().used_heap_size;
        big = undefined;
        clean();
        return before - getHeapStatistics().used_heap_size > 4 << 20;
      });
      console.log(add(1, 2), freed.join());`;
    const run = spawnSync(process.execPath, [...flags, '--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(run.stdout, '3 true,true,true\n', run.stderr);
  }
});
