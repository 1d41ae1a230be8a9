// Runs the single executable inside of memory groups of several sizes, page cache included, under load, and prints a table.
//
//   npm run package && sudo node scripts/measure-memory.mjs [MiB …]      without sizes: unlimited 64 32 24 20
//
// On an ext4 of its own with the default read-ahead of 128 KiB (a loop device), its cache empty at each start: how much of the
// executable is charged to a group depends on that more than on anything else. Needs root, wrk and 500 MB in /var/tmp.
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { MemoryGroup } from './memory-group.mjs';

const SECONDS = 3;
const VIEWERS = 200;
const STREAMS = 10;
const LINE = 'the quick brown fox jumps over the lazy dog and runs on';

const sizes = process.argv.length > 2 ? process.argv.slice(2) : ['unlimited', '64', '32', '24', '20'];
const folder = mkdtempSync('/var/tmp/runnel-memory-');
const disk = join(folder, 'disk');
let device;
try {
  prepareDisk();
  const shared = prepareConfig();
  console.log(
    `${STREAMS} streams, ${shared ? VIEWERS : STREAMS} viewers ${shared ? 'that share them' : '(a program each)'}; load of ${SECONDS} s each`,
  );
  console.log('| limit | ready | page/s | CGI/s | messages/s | peak MiB | after MiB | of it anonymous |');
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
  for (const size of sizes) console.log(await row(size, shared ? VIEWERS : STREAMS));
} finally {
  if (device !== undefined) {
    execFileSync('umount', [disk]);
    execFileSync('losetup', ['-d', device]);
  }
  rmSync(folder, { recursive: true });
}

function prepareDisk() {
  const image = join(folder, 'image');
  mkdirSync(disk);
  execFileSync('truncate', ['-s', '400M', image]);
  execFileSync('mkfs.ext4', ['-q', image]);
  device = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim();
  // In sectors of 512 bytes.
  execFileSync('blockdev', ['--setra', '256', device]);
  execFileSync('mount', [device, disk]);
  for (let index = 0; index < STREAMS; index += 1) execFileSync('mkfifo', [join(folder, `source-${index}`)]);
}

/** Answers whether viewers can share a stream. */
function prepareConfig() {
  cpSync('dist/runnel-linux-x64', join(disk, 'runnel'));
  cpSync('config/demo', join(disk, 'demo'), { recursive: true });
  for (const share of ['all', 'client']) {
    const streams = Array.from(
      { length: STREAMS },
      (_, index) =>
        `[stream."/live/${index}"]\ncommand = ["cat", "${join(folder, `source-${index}`)}"]\nshare = "${share}"\n`,
    );
    writeFileSync(
      join(disk, 'runnel.toml'),
      `[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "demo/www"\n[cgi."/cgi-bin/"]\nroot = "demo/cgi-bin"\n${streams.join('')}[log]\nrequests = false\n`,
    );
    try {
      execFileSync(join(disk, 'runnel'), ['check', '-c', join(disk, 'runnel.toml')], { stdio: 'ignore' });
      return share === 'all';
    } catch {
      // This version does not share.
    }
  }
  throw new Error('the configuration is wrong');
}

async function row(size, viewers) {
  // Empties its cache.
  execFileSync('umount', [disk]);
  execFileSync('mount', [device, disk]);
  const group = new MemoryGroup('runnel-measure', size === 'unlimited' ? undefined : Number(size) << 20);
  const started = performance.now();
  const gateway = spawn(
    'sh',
    ['-c', group.enter('exec "$@"'), 'sh', join(disk, 'runnel'), 'serve', '-c', join(disk, 'runnel.toml')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exited = new Promise((resolve) => gateway.once('exit', (code, signal) => resolve(signal ?? code)));
  let output = '';
  gateway.stdout.on('data', (bytes) => (output += bytes));
  try {
    while (!output.includes('"ready"')) {
      if (gateway.exitCode !== null || gateway.signalCode !== null || performance.now() - started > 60_000)
        return `| ${size} | not: ${gateway.signalCode ?? gateway.exitCode ?? 'after a minute'} | | | | | | |`;
      await delay(2);
    }
    const ready = Math.round(performance.now() - started);
    const base = `127.0.0.1:${/"port":(\d+)/.exec(output)[1]}`;
    const page = await wrk(`http://${base}/`, 10);
    const cgi = await wrk(`http://${base}/cgi-bin/status.cgi`, 4);
    const messages = await view(base, viewers);
    await delay(1000);
    const { peak, now, anonymous } = group.figures();
    const mebibytes = [peak, now, anonymous].map((bytes) => (bytes / 2 ** 20).toFixed(1));
    return `| ${size} | ${ready} ms | ${page} | ${cgi} | ${messages} | ${mebibytes.join(' | ')} |`;
  } finally {
    gateway.kill('SIGTERM');
    await exited;
    await group.remove();
  }
}

async function wrk(url, connections) {
  const child = spawn('wrk', ['-t1', `-c${connections}`, `-d${SECONDS}`, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (bytes) => (text += bytes));
  await new Promise((resolve) => child.once('close', resolve));
  const bad = /Non-2xx.*: (\d+)/.exec(text)?.[1];
  return `${Math.round(Number(/Requests\/sec: +([0-9.]+)/.exec(text)?.[1]))}${bad === undefined ? '' : ` (${bad} refused)`}`;
}

/** Messages that all viewers together get in a second. */
async function view(base, viewers) {
  let count = 0;
  const sockets = await Promise.all(
    Array.from({ length: viewers }, (_, index) => {
      const socket = new WebSocket(`ws://${base}/live/${index % STREAMS}`, { perMessageDeflate: false });
      socket.on('message', () => (count += 1));
      return new Promise((resolve) => {
        socket.once('open', () => resolve(socket));
        socket.once('error', () => resolve(undefined));
      });
    }),
  );
  // What the programs print comes from here, so that making it takes none of the group's memory.
  const sources = Array.from({ length: STREAMS }, (_, index) => openSync(join(folder, `source-${index}`), 'r+'));
  const feeding = setInterval(() => {
    for (const source of sources) writeSync(source, `${LINE}\n`);
  }, 10);
  await delay(500);
  count = 0;
  await delay(SECONDS * 1000);
  const rate = Math.round(count / SECONDS);
  clearInterval(feeding);
  for (const source of sources) closeSync(source);
  for (const socket of sockets) socket?.terminate();
  const open = sockets.filter((socket) => socket !== undefined).length;
  return open === viewers ? rate : `${rate} (${viewers - open} refused)`;
}
