// Starts the single executable somewhere else than where it was built, with the demo's configuration, and looks whether it
// serves: page, CGI program, stream; whether it ignores what could turn it against itself; and whether it stops cleanly.
//
//   node scripts/smoke.mjs [executable]
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { copyDemo } from './demo-copy.mjs';

const DEADLINE = 30_000;

const folder = mkdtempSync(join(tmpdir(), 'runnel-smoke-'));
const executable = join(folder, 'runnel');
copyFileSync(process.argv[2] ?? 'dist/runnel-linux-x64', executable);
chmodSync(executable, 0o755);
const config = copyDemo(folder);
const intruder = join(folder, 'intruder.cjs');
writeFileSync(intruder, 'console.log("the intruder runs")');

const started = performance.now();
const gateway = spawn(executable, ['serve', '-c', config], {
  cwd: folder,
  env: { PATH: '/usr/bin:/bin', NODE_OPTIONS: `--require ${intruder}`, NODE_PATH: folder },
  stdio: ['ignore', 'pipe', 'pipe'],
});
let output = '';
gateway.stdout.on('data', (bytes) => (output += bytes));
gateway.stderr.on('data', (bytes) => (output += bytes));
const exited = new Promise((resolve, reject) => {
  gateway.once('error', reject);
  gateway.once('exit', (code, signal) => resolve(signal ?? code));
});
let ended = false;
exited.finally(() => (ended = true)).catch(() => {});

try {
  const address = await until('the page', async () => {
    for (const [, port] of output.matchAll(/127\.0\.0\.1:([1-9][0-9]*)/g)) {
      const base = `127.0.0.1:${port}`;
      const reply = await get(`http://${base}/`).catch(() => undefined);
      if (reply?.status === 200 && reply.headers.get('content-type')?.startsWith('text/html')) return base;
    }
    return undefined;
  });
  console.log(`page: http://${address}/ after ${Math.round(performance.now() - started)} ms`);

  const status = await get(`http://${address}/cgi-bin/status.cgi`);
  assert.equal(status.status, 200, 'the CGI program');
  console.log(`CGI: ${(await status.text()).length} characters`);

  const message = await firstMessage(`ws://${address}/live/machine`);
  console.log(`stream: ${message.slice(0, 60)} …`);
  assert.equal(await firstMessage(`ws://${address}/live/echo`, 'hello'), 'hello', 'the echo');

  gateway.kill('SIGUSR1');
  assert.equal((await get(`http://${address}/`)).status, 200, 'the page after USR1');

  const stopping = performance.now();
  gateway.kill('SIGTERM');
  const result = await until('its end', () => (ended ? exited : undefined));
  assert.equal(result, 0, 'the exit code after TERM');
  console.log(`stopped after ${Math.round(performance.now() - stopping)} ms, exit code 0`);
  await until('the end of its programs', () => (processesOf(folder).length === 0 ? true : undefined));
  assert.doesNotMatch(output, /intruder runs/, 'NODE_OPTIONS was followed');
  assert.doesNotMatch(output, /Debugger/, 'USR1 opened the inspector');
  console.log('smoke: passed');
} catch (error) {
  console.error(
    `smoke: failed: ${error.stack}\nits output:\n${output}\nstill running: ${processesOf(folder).join('; ')}`,
  );
  process.exitCode = 1;
} finally {
  if (!ended) gateway.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}

/** Asks `probe` until it answers something; rejects after a while, or when the gateway has ended without being told to. */
async function until(what, probe) {
  const deadline = performance.now() + DEADLINE;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined) return answer;
    if (ended && !gateway.killed) throw new Error(`it ended (${await exited}) before ${what}`);
    if (performance.now() > deadline) throw new Error(`waited ${DEADLINE} ms for ${what}`);
    await delay(10);
  }
}

function get(url) {
  return fetch(url, { signal: AbortSignal.timeout(DEADLINE) });
}

/** Connects, sends `text` if there is one, and gives the first message that comes back. */
function firstMessage(url, text) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    const timer = setTimeout(() => reject(new Error(`${url}: no message in ${DEADLINE} ms`)), DEADLINE);
    socket.on('open', () => text !== undefined && socket.send(text));
    socket.on('error', reject);
    socket.on('close', (code, reason) => reject(new Error(`${url} closed with ${code} ${reason}`)));
    socket.on('message', (data) => {
      clearTimeout(timer);
      socket.close();
      resolve(String(data));
    });
  });
}

/** Command lines of processes that have to do with `path`, other than our own. */
function processesOf(path) {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      } catch {
        return ''; // Ended while we looked.
      }
    })
    .filter((line) => line.includes(path));
}
