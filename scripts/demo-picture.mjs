// Makes the moving picture of the README, docs/demo.webp, and a still one, docs/demo.png: screenshots of the real demo in Chromium.
//
//   npm run build && node scripts/demo-picture.mjs      needs chromium, and img2webp of Debian's package webp
//
// Run it by hand when the demo looks different; it is no part of a build, because no two runs show the same numbers.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { copyDemo } from './demo-copy.mjs';

const SIZE = { width: 960, height: 640 };
const FRAMES = 24;
/** Milliseconds. The demo's script prints a line twice a second. */
const BETWEEN = 500;
/** So long that the charts have something to show. */
const WARM_UP = 32_000;

const folder = mkdtempSync(join(tmpdir(), 'runnel-picture-'));
const gateway = spawn(process.execPath, ['dist/src/main.js', 'serve', '-c', copyDemo(folder)], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
try {
  const page = await browser.newPage({ viewport: SIZE, colorScheme: 'light' });
  await page.goto(`http://127.0.0.1:${await portOf(gateway)}/`);
  await delay(WARM_UP);
  const frames = [];
  for (let frame = 0; frame < FRAMES; frame++) {
    const started = Date.now();
    const path = join(folder, `${String(frame).padStart(3, '0')}.png`);
    await page.screenshot({ path });
    frames.push(path);
    await delay(Math.max(0, BETWEEN - (Date.now() - started)));
  }
  await page.screenshot({ path: 'docs/demo.png' });
  execFileSync(
    'img2webp',
    [
      '-loop',
      '0',
      '-min_size',
      '-lossy',
      '-q',
      '55',
      '-m',
      '6',
      '-d',
      String(BETWEEN),
      ...frames,
      '-o',
      'docs/demo.webp',
    ],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  console.log(`docs/demo.webp: ${(statSync('docs/demo.webp').size / 1e3).toFixed(0)} KB`);
} finally {
  await browser.close();
  gateway.kill();
  rmSync(folder, { recursive: true });
}

async function portOf(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    const { port } = JSON.parse(line);
    if (port !== undefined) return port;
  }
  throw new Error('the gateway has ended');
}
