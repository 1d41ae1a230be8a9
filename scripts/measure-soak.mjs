// Holds a gateway under a mixed load for a long time and prints every minute what memory it has, and in the end whether that is level.
//
//   npm run build && node scripts/measure-soak.mjs [--minutes 60] [--limit 64MiB] [--engine uws] [--viewers 320] [--rate 1] [--program FILE]
//
// With --limit everything runs inside of a memory group, programs and page cache included; that needs root. --program is the single
// executable; without it Node runs dist/. The load takes a quarter to a half of a core. The exit code is 0 when memory was level in the last half:
// private memory grew by less than 0.1 MiB a minute, and the gateway was there to the end.
import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MemoryGroup } from './memory-group.mjs';
import { processorTime } from './memory-load.mjs';
import { SoakLoad } from './soak-load.mjs';

/** MiB a minute. */
const LEVEL = 0.1;
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    limit: { type: 'string' },
    engine: { type: 'string', default: 'uws' },
    viewers: { type: 'string', default: '320' },
    rate: { type: 'string', default: '1' },
    program: { type: 'string' },
  },
});
const minutes = Number(options.minutes);
const limit = options.limit === undefined ? undefined : bytes(options.limit);
const folder = mkdtempSync(join(tmpdir(), 'runnel-soak-'));
const group = limit === undefined ? undefined : new MemoryGroup(`runnel-soak-${process.pid}`, limit);
let gateway;
const rows = [];
let interrupted = false;
const interruption = new Promise((done) => {
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.once(signal, () => {
      interrupted = true;
      done();
    });
});
try {
  prepare();
  gateway = await start();
  const load = new SoakLoad(gateway.port, Number(options.viewers), Number(options.rate));
  const feeding = feed(Number(options.rate));
  console.log(
    `${options.engine}, ${options.viewers} viewers, load times ${options.rate}, ${options.limit ?? 'no limit'}; pid ${gateway.pid}`,
  );
  console.log('| minute | private | C heap | rest of anonymous | group | of it anonymous | processor | errors |');
  console.log(`|${' ---: |'.repeat(8)}`);
  for (let minute = 0; minute <= minutes && gateway.ended === undefined && !interrupted; minute += 1) {
    const row = { minute, ...memory(gateway.pid), ...group?.figures(), time: processorTime(gateway.pid) };
    rows.push(row);
    print(row, rows[rows.length - 2], load.counts);
    if (minute < minutes) await Promise.race([delay(60_000, undefined, { ref: false }), gateway.exited, interruption]);
  }
  clearInterval(feeding);
  await load.stop();
  console.log(JSON.stringify(load.counts));
  process.exitCode = verdict() ? 0 : 1;
} finally {
  gateway?.end();
  await gateway?.exited;
  await group?.remove();
  rmSync(folder, { recursive: true });
}

function bytes(text) {
  const [, number, unit = ''] = /^(\d+)(KiB|MiB|GiB)?$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`--limit ${text}: write it as 64MiB`);
  return Number(number) << { '': 0, KiB: 10, MiB: 20, GiB: 30 }[unit];
}

function prepare() {
  for (const name of ['www', 'cgi-bin']) mkdirSync(join(folder, name));
  const write = (name, content) => writeFileSync(join(folder, name), content);
  write('www/index.html', '<!doctype html><title>a page</title><p>hello\n');
  write('www/page-300k.html', `<!doctype html><title>a page</title>${'<p>hello</p>\n'.repeat(23_000)}`);
  write('www/big.bin', Buffer.alloc(8 << 20, 'b'));
  const program = (name, lines) => {
    write(`cgi-bin/${name}`, `#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n${lines}\n`);
    chmodSync(join(folder, 'cgi-bin', name), 0o755);
  };
  program('hello.cgi', 'echo "hello, $QUERY_STRING"');
  program('length.cgi', 'wc -c');
  program('slow.cgi', 'sleep 1; echo late');
  write(
    'runnel.toml',
    `
[[listen]]
address = "127.0.0.1:0"
engine = "${options.engine}"
[static."/"]
root = "www"
[cgi."/cgi-bin/"]
root = "cgi-bin"
[stream."/live"]
command = ["sh", "-c", "cat >/dev/null & exec cat live"]
share = "all"
start = "boot"
history = 100
[stream."/large"]
command = ["cat", "large"]
share = "all"
start = "boot"
[stream."/echo"]
command = ["cat"]
[connections]
max = 2000
[log]
requests = false
`,
  );
}

async function start() {
  await run('mkfifo', [join(folder, 'live'), join(folder, 'large')]);
  const serve = ['serve', '-c', join(folder, 'runnel.toml')];
  const command =
    options.program === undefined
      ? [process.execPath, resolve('dist/src/main.js'), ...serve]
      : [resolve(options.program), ...serve];
  const entered = group === undefined ? command : ['sh', '-c', group.enter('exec "$@"'), 'sh', ...command];
  const child = spawn(entered[0], entered.slice(1), { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (text) => {
    output = (output + text).slice(-10_000);
  });
  const found = { pid: child.pid, ended: undefined, exited: undefined, port: 0, end: () => child.kill('SIGTERM') };
  found.exited = new Promise((done) => {
    child.once('exit', (code, signal) => {
      found.ended = signal ?? code;
      done();
    });
  });
  while (!output.includes('"ready"')) {
    if (found.ended !== undefined) throw new Error(`the gateway ended with ${found.ended}: ${output}`);
    await delay(10);
  }
  found.port = Number(/"port":(\d+)/.exec(output)[1]);
  return found;
}

function run(file, args) {
  return new Promise((done, failed) => {
    spawn(file, args, { stdio: 'inherit' }).once('exit', (code) => (code === 0 ? done() : failed(new Error(file))));
  });
}

/** What the programs print comes from here: twenty lines a second, and four of up to 60 KB. */
function feed(rate) {
  // A gateway that does not read must not stop the measurement.
  const flags = constants.O_RDWR | constants.O_NONBLOCK;
  const live = openSync(join(folder, 'live'), flags);
  const large = openSync(join(folder, 'large'), flags);
  const write = (fifo, line) => {
    try {
      writeSync(fifo, line);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  };
  let turn = 0;
  const timer = setInterval(() => {
    turn += 1;
    write(live, `${turn} ${'the quick brown fox jumps over the lazy dog '.repeat(1 + (turn % 8))}\n`);
    if (turn % 5 === 0) write(large, `${'x'.repeat(Math.ceil(60_000 * Math.random() ** 2))}\n`);
  }, 50 / rate);
  gateway.exited.then(() => {
    closeSync(live);
    closeSync(large);
  });
  return timer;
}

/** Bytes: private ones, those of the C library's allocator (its main arena, and those of threads, which lie at multiples of 64 MiB), and the rest. */
function memory(pid) {
  const kilobytes = (text, name) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const own = kilobytes(rollup, 'Private_Clean') + kilobytes(rollup, 'Private_Dirty');
  let heap = 0;
  for (const part of readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [, from = '', name = ''] = /^([0-9a-f]+)-\S+ \S+ \S+ \S+ \S+ *(.*)$/m.exec(part) ?? [];
    const arena = name === '' && /^7\S*$/.test(from) && BigInt(`0x${from}`) % (64n << 20n) === 0n;
    if (name === '[heap]' || arena) heap += kilobytes(part, 'Anonymous');
  }
  return { own, heap, rest: kilobytes(rollup, 'Anonymous') - heap };
}

function print(row, before, counts) {
  const mib = (value) => (value === undefined ? '–' : (value / 2 ** 20).toFixed(1));
  const core = before === undefined ? '–' : `${((row.time - before.time) / 600_000).toFixed(0)} %`;
  const cells = [row.minute, mib(row.own), mib(row.heap), mib(row.rest), mib(row.now), mib(row.anonymous), core];
  console.log(`| ${cells.join(' | ')} | ${counts.error ?? 0} |`);
}

function verdict() {
  if (gateway.ended !== undefined) {
    console.log(`the gateway ended with ${gateway.ended}`);
    return false;
  }
  const half = rows.slice(rows.length >> 1);
  const grew = slope(half.map(({ minute, own }) => [minute, own / 2 ** 20]));
  const heap = slope(half.map(({ minute, heap: size }) => [minute, size / 2 ** 20]));
  const level = grew < LEVEL;
  console.log(
    `in the last half private memory grew by ${grew.toFixed(3)} MiB a minute, the C heap by ${heap.toFixed(3)}: ${level ? 'level' : 'NOT LEVEL'}`,
  );
  return level;
}

/** Of the straight line through the points (least squares). */
function slope(points) {
  const mean = (at) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const over = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  const under = points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
  return under === 0 ? 0 : over / under;
}
