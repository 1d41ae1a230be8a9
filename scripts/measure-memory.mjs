// Runs the single executable inside of memory groups of several sizes, page cache included, under load, and prints a table.
//
//   npm run package && sudo npm run measure:memory -- [MiB …]      without sizes: 32 28 24 22 20
//
// In turn without a limit and with each, ROUNDS times (3), so that other work on the machine meets all of them; medians are printed, and next
// to each rate the gateway's own processor time for one, which others disturb less. Every start is on an ext4 of its own with the default
// read-ahead of 128 KiB (a loop device), its cache empty: how much of the executable is charged to a group depends on that more than on
// anything else. Needs root, wrk and 500 MB in /var/tmp. CGI=no leaves the CGI program out; TLS=yes asks and views
// by TLS.
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MemoryGroup } from './memory-group.mjs';
import { median, processorTime, request, upgrade, Waiting } from './memory-load.mjs';

const TLS = process.env.TLS === 'yes';
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const SECONDS = 3;
const VIEWERS = 200;
const STREAMS = 10;
const LINE = 'the quick brown fox jumps over the lazy dog and runs on';
/** Every 10 ms on each stream: 80,000 messages a second to all viewers together. */
const LINES = 4;
/** Milliseconds until a gateway counts as one that does not start. */
const READY = 20_000;

const sizes = ['unlimited', ...(process.argv.length > 2 ? process.argv.slice(2) : ['32', '28', '24', '22', '20'])];
const folder = mkdtempSync('/var/tmp/runnel-memory-');
const disk = join(folder, 'disk');
let device;
try {
  prepareDisk();
  const rows = new Map(sizes.map((size) => [size, []]));
  for (let round = 0; round < ROUNDS; round += 1)
    for (const size of sizes) rows.get(size).push(await measure(size === 'unlimited' ? undefined : Number(size) << 20));
  console.log(
    `${TLS ? 'TLS; ' : ''}${STREAMS} streams, ${VIEWERS} viewers; medians of ${ROUNDS} rounds, loads of ${SECONDS} s each`,
  );
  console.log(
    '| limit | ready | page/s | µs | CGI/s | µs | messages/s | µs | idle MiB | of it anonymous | after MiB | of it anonymous |',
  );
  console.log(`|${' --- |'.repeat(12)}`);
  const whole = rows.get('unlimited');
  for (const [size, found] of rows) console.log(row(size, found, found === whole ? [] : whole));
} finally {
  if (device !== undefined) {
    execFileSync('umount', [disk]);
    execFileSync('losetup', ['-d', device]);
  }
  rmSync(folder, { recursive: true });
}

/** @param whole the rounds whose rates are 100 % */
function row(size, rounds, whole) {
  const good = rounds.filter(({ failed }) => failed === undefined);
  const bad = rounds.filter(({ failed }) => failed !== undefined).map(({ failed }) => failed);
  const cell = (key, digits = 0) => {
    const value = median(good.map((found) => found[key]));
    return Number.isNaN(value) ? '–' : value.toFixed(digits);
  };
  const share = (key) => {
    const value = median(good.map((found) => found[key])) / median(whole.map((found) => found[key]));
    return Number.isNaN(value) ? '' : ` (${Math.round(value * 100)} %)`;
  };
  const cells = [`${cell('ready')} ms`];
  for (const load of ['page', 'cgi', 'message']) cells.push(`${cell(load)}${share(load)}`, cell(`${load}Time`, 1));
  for (const memory of ['idle', 'idleAnonymous', 'now', 'anonymous']) cells.push(cell(memory, 1));
  const failures = bad.length === 0 ? '' : ` (${bad.length} of ${rounds.length} failed: ${bad.join('; ')})`;
  return `| ${size}${size === 'unlimited' ? '' : ' MiB'}${failures} | ${cells.join(' | ')} |`;
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
  cpSync('dist/runnel-linux-x64', join(disk, 'runnel'));
  cpSync('config/demo', join(disk, 'demo'), { recursive: true });
  if (TLS) execFileSync(join(disk, 'runnel'), ['tls', 'self-signed', 'localhost', '--out', join(disk, 'tls')]);
  const tls = TLS ? 'tls = { certificate = "tls/server.pem", key = "tls/server.key" }\n' : '';
  const streams = Array.from(
    { length: STREAMS },
    (_, index) => `[stream."/live/${index}"]\ncommand = ["cat", "${join(folder, `source-${index}`)}"]\nshare = "all"\n`,
  );
  writeFileSync(
    join(disk, 'runnel.toml'),
    `[[listen]]\naddress = "127.0.0.1:0"\n${tls}[static."/"]\nroot = "demo/www"\n[cgi."/cgi-bin/"]\nroot = "demo/cgi-bin"\n${streams.join('')}[log]\nrequests = false\n`,
  );
}

async function measure(limit) {
  // Empties its cache.
  execFileSync('umount', [disk]);
  execFileSync('mount', [device, disk]);
  const group = new MemoryGroup('runnel-measure', limit);
  const started = performance.now();
  const gateway = spawn(
    'sh',
    ['-c', group.enter('exec "$@"'), 'sh', join(disk, 'runnel'), 'serve', '-c', join(disk, 'runnel.toml')],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const exited = new Promise((resolve) => gateway.once('exit', (code, signal) => resolve(signal ?? code)));
  let output = '';
  gateway.stdout.on('data', (bytes) => (output += bytes));
  const found = {};
  try {
    while (!output.includes('"ready"')) {
      if (gateway.exitCode !== null || gateway.signalCode !== null || performance.now() - started > READY)
        return { failed: 'not ready' };
      await delay(1);
    }
    found.ready = performance.now() - started;
    const port = Number(/"port":(\d+)/.exec(output)[1]);
    await delay(1000);
    const idle = group.figures();
    const url = `${TLS ? 'https' : 'http'}://127.0.0.1:${port}`;
    await load(found, 'page', gateway.pid, () => request(`${url}/`, 10, SECONDS));
    if (process.env.CGI !== 'no')
      await load(found, 'cgi', gateway.pid, () => request(`${url}/cgi-bin/status.cgi`, 4, SECONDS));
    await load(found, 'message', gateway.pid, () => view(port));
    const { now, anonymous } = group.figures();
    const memory = { idle: idle.now, idleAnonymous: idle.anonymous, now, anonymous };
    for (const [name, bytes] of Object.entries(memory)) found[name] = bytes / 2 ** 20;
    return found;
  } catch (error) {
    return { failed: error.message };
  } finally {
    gateway.kill('SIGTERM');
    const hard = setTimeout(() => gateway.kill('SIGKILL'), 10_000);
    await exited;
    clearTimeout(hard);
    await group.remove();
  }
}

/** Runs a load, and writes into `found` its rate and the gateway's microseconds for one. */
async function load(found, name, pid, run) {
  const before = processorTime(pid);
  const { rate, count, refused } = await run();
  if (refused > 0) throw new Error(`${refused} ${name}s refused`);
  found[name] = rate;
  found[`${name}Time`] = (processorTime(pid) - before) / count;
}

/** Messages that all viewers together get in a second. */
async function view(port) {
  const viewers = new Waiting(TLS);
  await viewers.open(port, VIEWERS, (index) => upgrade(`/live/${index % STREAMS}`));
  // What the programs print comes from here, so that making it takes none of the group's memory.
  const sources = Array.from({ length: STREAMS }, (_, index) => openSync(join(folder, `source-${index}`), 'r+'));
  const feeding = setInterval(() => {
    for (const source of sources) writeSync(source, `${LINE}\n`.repeat(LINES));
  }, 10);
  await delay(SECONDS * 1000);
  clearInterval(feeding);
  // Each line comes as one frame with a head of two bytes.
  const count = viewers.bytes / (LINE.length + 2);
  for (const source of sources) closeSync(source);
  viewers.close();
  return { rate: count / SECONDS, count, refused: viewers.refused };
}
