// Prints how long the single executable and `node dist/src/main.js` take from their start to their first answer with the
// demo's configuration, and what they hold in memory then.
//
//   npm run build && npm run package && node scripts/measure-start.mjs [times]
//
// "Anonymous" is what the process alone has; the rest of RSS is pages of files, which the kernel can drop at any time
// and whose number depends on how the file came into its cache.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { copyDemo } from './demo-copy.mjs';

const times = Number(process.argv[2] ?? 15);
const folder = mkdtempSync(join(tmpdir(), 'runnel-measure-'));
const config = copyDemo(folder);
const commands = [
  ['dist/runnel-linux-x64', []],
  [process.execPath, ['dist/src/main.js']],
];

try {
  for (const [program, args] of commands) {
    if (!existsSync(program)) continue;
    const rounds = [];
    for (let round = 0; round < times; round++) rounds.push(await measure(program, [...args, 'serve', '-c', config]));
    const fastest = Math.min(...rounds.map(({ ready }) => ready));
    const median = (key) => rounds.map((found) => found[key]).sort((a, b) => a - b)[rounds.length >> 1];
    const memory = ['Rss', 'Pss', 'Anonymous'].map((key) => `${key} ${(median(key) / 1024).toFixed(1)} MiB`).join(', ');
    const size = (statSync(program).size / 1e6).toFixed(1);
    console.log(
      `${[program, ...args].join(' ')} (${size} MB): first answer ${median('ready').toFixed(0)} ms (the fastest ${fastest.toFixed(0)}), ${memory}`,
    );
  }
} finally {
  rmSync(folder, { recursive: true });
}

async function measure(program, args) {
  const started = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let output = '';
  child.stdout.on('data', (bytes) => (output += bytes));
  try {
    for (;;) {
      const ports = [...output.matchAll(/127\.0\.0\.1:([1-9][0-9]*)/g)].map((match) => match[1]);
      const replies = await Promise.all(ports.map((port) => fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)));
      if (replies.some((reply) => reply?.ok)) break;
      if (child.exitCode !== null || performance.now() - started > 30_000) throw new Error(`no answer:\n${output}`);
      await delay(1);
    }
    const ready = performance.now() - started;
    const rollup = readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8');
    const memory = [...rollup.matchAll(/^(Rss|Pss|Anonymous): +([0-9]+)/gm)].map(([, key, value]) => [
      key,
      Number(value),
    ]);
    return { ready, ...Object.fromEntries(memory) };
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}
