import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { examine, type Finding } from '../../../src/cli/doctor/finding.ts';
import { probeCertificates } from '../../../src/cli/doctor/probes/certificates.ts';
import { probeClock, probeDescriptors, probeMemory } from '../../../src/cli/doctor/probes/machine.ts';
import { probePorts } from '../../../src/cli/doctor/probes/ports.ts';
import { probePrograms } from '../../../src/cli/doctor/probes/programs.ts';
import { probePublicUrl } from '../../../src/cli/doctor/probes/public-url.ts';
import { probeStorage } from '../../../src/cli/doctor/probes/storage.ts';
import { probeUpstreams } from '../../../src/cli/doctor/probes/upstreams.ts';
import { parseConfig } from '../../../src/gateway/config.ts';
import { makeSelfSignedServer } from '../../../src/tls/making/lan.ts';
import { folderWith, runnel, startGateway } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

const NOW = Date.parse('2026-11-29');
const SIGNAL = new AbortController().signal;

function patient(t: TestContext, text: string, files: { readonly [path: string]: string } = {}) {
  const directory = folderWith(t, files);
  const read = parseConfig(Buffer.from(text), 'c', { directory });
  assert.ok(read.ok, read.ok ? '' : JSON.stringify(read.problems));
  return { config: read.config, file: '/c', pid: undefined, taken: [], unit: undefined, now: NOW };
}

const seen = (findings: readonly Finding[]): string =>
  findings.map(({ about, seen: what }) => `${about}: ${what}`).join('\n');
const machine = (files: { readonly [path: string]: string }, written = NOW) => ({
  read: (path: string) => files[path] ?? '',
  exists: (path: string) => Object.hasOwn(files, path),
  link: (path: string) => files[`link ${path}`] ?? '',
  written,
});
const STREAM = '[stream."/s"]\ncommand = ["cat"]\n';

async function listening(t: TestContext): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await until('it listens', () => server.listening);
  return (server.address() as { port: number }).port;
}

test('a port that is taken, and by whom', async (t) => {
  const port = await listening(t);
  const found = patient(t, `[[listen]]\naddress = "127.0.0.1:${port}"\n${STREAM}`);
  assert.match(seen(await probePorts({ ...found, taken: [{ port, program: 'boa' }] })), /port \d+ is taken by "boa"/);
  assert.match(seen(await probePorts(found)), /a program that this user may not see/);
  assert.deepEqual(await probePorts({ ...found, pid: 1 }), [], 'the gateway has it itself');
  assert.deepEqual(await probePorts(patient(t, `[[listen]]\naddress = "127.0.0.1:0"\n${STREAM}`)), []);
});

test('an address that this machine does not have', async (t) => {
  const found = await probePorts(patient(t, `[[listen]]\naddress = "192.0.2.1:8099"\n${STREAM}`));
  assert.match(seen(found), /this machine does not have that address now/);
});

test('a certificate near its end, and a host that none is for', (t) => {
  const { certificate, key } = makeSelfSignedServer(['board.lan'], Date.now());
  const text = `[[listen]]\naddress = "127.0.0.1:0"\nhosts = ["board.lan", "other.lan"]\ntls = { certificate = "c.pem", key = "k.pem" }\n${STREAM}`;
  const one = patient(t, text, { 'c.pem': certificate, 'k.pem': key });
  assert.match(
    seen(probeCertificates({ ...one, now: Date.now() })),
    /^[^\n]*no certificate is for other\.lan, which "hosts" names; they are for board\.lan$/,
  );
  const end = new X509Certificate(certificate).validTo;
  const near = probeCertificates({ ...one, now: Date.parse(end) - 5 * 86_400_000 });
  assert.match(seen(near), /board\.lan in .*c\.pem ends on .*, in 5 days/);
});

test('a clock before the program, and one that no server has set', () => {
  assert.match(
    seen(probeClock({ now: 0 }, machine({}))),
    /the clock says 1970-01-01, but this program was written on 2026/,
  );
  assert.match(seen(probeClock({ now: NOW }, machine({ '/run/systemd/timesync': '' }))), /no time server/);
  const synchronized = { '/run/systemd/timesync': '', '/run/systemd/timesync/synchronized': '' };
  assert.deepEqual(probeClock({ now: NOW }, machine(synchronized)), []);
  assert.deepEqual(probeClock({ now: NOW }, machine({})), []);
});

test('too few descriptors, of this process, of the gateway, of the unit', (t) => {
  const one = patient(t, `[connections]\nmax = 2000\n${STREAM}`);
  const limits = (files: number) => `Max open files            ${files}               4096                 files\n`;
  assert.match(
    seen(probeDescriptors(one, machine({ '/proc/self/limits': limits(1024) }))),
    /1024 files may be open at once, and 2000 connections/,
  );
  assert.deepEqual(probeDescriptors(one, machine({ '/proc/self/limits': limits(65536) })), []);
  const running = machine({ '/proc/self/limits': limits(65536), '/proc/7/limits': limits(256) });
  assert.match(seen(probeDescriptors({ ...one, pid: 7 }, running)), /^connections\.max: 256 files/);
  const unit = new Map([['LimitNOFILE', ['65536']]]);
  assert.deepEqual(probeDescriptors({ ...one, unit }, machine({ '/proc/self/limits': limits(256) })), []);
});

test('too little memory, free or allowed', (t) => {
  const one = patient(
    t,
    `[stream."/s"]\ncommand = ["cat"]\nshare = "all"\nhistory = { messages = 10, bytes = "100MiB" }\n`,
  );
  const meminfo = (free: number) => ({ '/proc/meminfo': `MemTotal: 8000000 kB\nMemAvailable: ${free} kB\n` });
  assert.match(
    seen(probeMemory(one, machine(meminfo(100_000)))),
    /may need 148 MiB \(40 MiB itself, 100 MiB for histories, 8 MiB for 1024/,
  );
  assert.deepEqual(probeMemory(one, machine(meminfo(900_000))), []);
  const group = { '/proc/self/cgroup': '0::/x\n', '/sys/fs/cgroup/x/memory.max': '67108864\n' };
  assert.match(seen(probeMemory(one, machine({ ...meminfo(900_000), ...group }))), /64 MiB are free here \(a limit/);
});

test('a full disk, and bodies of requests in memory', (t) => {
  const one = patient(t, `[defaults]\nlimits = { body = "1GiB" }\n${STREAM}`);
  const disk = (type: number, bavail: number) => () => ({ type, bsize: 4096, blocks: 1_000_000, bavail });
  assert.match(seen(probeStorage(one, disk(0xef53, 10))), /bodies of requests \(TMPDIR\): 0 of 3906 MiB are free/);
  assert.match(seen(probeStorage(one, disk(0x01021994, 500_000))), /is in memory \(tmpfs\) .* a body of 1024 MiB/);
  assert.deepEqual(probeStorage(one, disk(0xef53, 500_000)), []);
});

test('upstreams: nobody there, no such name, fine', async (t) => {
  const port = await listening(t);
  const found = await probeUpstreams(
    patient(
      t,
      `[proxy."/a"]\nupstream = "http://127.0.0.1:1"\n[proxy."/b"]\nupstream = "http://127.0.0.1:${port}"\n[proxy."/c"]\nupstream = "http://no-such-name.invalid"\n[stream."/d"]\nconnect = "unix:/no/such.sock"\n[stream."/e"]\nsubscribe = "http://127.0.0.1:1/events"\n[stream."/f"]\npoll = "http://127.0.0.1:1/x"\n`,
    ),
    SIGNAL,
  );
  const all = seen(found);
  for (const about of [
    'proxy."/a".upstream',
    'proxy."/c".upstream',
    'stream."/d".connect',
    'stream."/e".subscribe',
    'stream."/f".poll',
  ])
    assert.ok(all.includes(`${about}: `), `${about}\n${all}`);
  assert.ok(!all.includes('"/b"'), all);
  assert.match(all, /nothing listens there/);
});

test('a program that holds its output back, in the environment that the gateway gives it', async (t) => {
  process.env['OF_THIS_SHELL'] = '1';
  t.after(() => delete process.env['OF_THIS_SHELL']);
  const holds =
    '[stream."/p"]\ncommand = ["sh", "-c", "[ -z \\"$OF_THIS_SHELL\\" ] || echo 1; (echo 1; sleep 1000) | grep 1"]\n';
  const talks = '[stream."/q"]\ncommand = ["sh", "-c", "echo 1; sleep 1000"]\n';
  const silent = '[stream."/r"]\ncommand = ["cat"]\n';
  const found = await probePrograms(patient(t, holds + talks + silent));
  assert.deepEqual(
    found.map(({ about }) => about),
    ['stream."/p".command'],
  );
  assert.match(found[0]?.remedy ?? '', /unbuffer = true/);
});

test('a public URL: through nothing, through a proxy that buffers, to nobody', async (t) => {
  const running = await startGateway(t, { config: `[[listen]]\naddress = "127.0.0.1:0"\n${STREAM}` });
  assert.deepEqual(await probePublicUrl(running.url('/'), SIGNAL), []);
  const buffering = createServer((_request, answer) => {
    answer.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
    answer.flushHeaders();
  }).listen(0, '127.0.0.1');
  t.after(() => {
    buffering.closeAllConnections();
    buffering.close();
  });
  await until('it listens', () => buffering.listening);
  const { port } = buffering.address() as { port: number };
  const found = seen(await probePublicUrl(`http://127.0.0.1:${port}`, SIGNAL));
  assert.match(found, /nothing came within 6 s/);
  assert.match(found, /compresses event streams \(Content-Encoding: gzip\)/);
  assert.match(found, /a WebSocket does not come through: it answers 200/);
  assert.match(seen(await probePublicUrl('http://127.0.0.1:1/', SIGNAL)), /ECONNREFUSED/);
});

test('a look that fails or is late says so, and keeps nobody', async (t) => {
  const found = await examine(
    patient(t, STREAM),
    {
      broken: () => {
        throw new Error('no such thing');
      },
      late: () => new Promise(() => undefined),
    },
    50,
  );
  assert.match(
    seen(found),
    /broken: this could not be looked at: no such thing\nlate: this could not be looked at: it took longer than/,
  );
});

test('the verb: for people, as JSON, and what check finds comes first', async (t) => {
  const folder = folderWith(t, {
    'runnel.toml': '[[listen]]\naddress = "127.0.0.1:0"\n[proxy."/a"]\nupstream = "http://127.0.0.1:1"\n',
    'wrong.toml': '[x]\n',
  });
  const people = await runnel(['doctor'], folder);
  assert.equal(people.code, 1);
  assert.match(people.stdout, /^problem: proxy\."\/a"\.upstream: cannot connect .*\n {2}why: .*\n {2}do: {2}.*$/m);
  const json = await runnel(['doctor', '--json'], folder);
  const { findings } = JSON.parse(json.stdout) as { findings: readonly Finding[] };
  assert.ok(findings.some(({ about }) => about === 'proxy."/a".upstream'));
  const wrong = await runnel(['doctor', '-c', 'wrong.toml'], folder);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /unknown key.*\n.*nothing else was looked at/s);
  assert.equal((await runnel(['doctor', '--url', 'board'], folder)).code, 2);
});
