import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadKoffi } from '../../../src/ops/addons/addon.ts';
import { openAssets } from '../../../src/ops/assets.ts';
import { Log } from '../../../src/ops/log.ts';
import { openReadiness, watchdogInterval } from '../../../src/ops/system/readiness.ts';
import { until } from '../../support/until.ts';

const log = new Log({ format: 'plain', level: 'error', colour: false, descriptor: 2 });

/** A datagram socket, held by perl because Node has none: what arrives, each with " | " at its end. */
async function receiver(t: TestContext): Promise<{ path: string; received: () => string }> {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-notify-'));
  const path = join(folder, 'socket');
  const program = `use IO::Socket::UNIX; $| = 1; my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die; while (defined $s->recv(my $m, 4096)) { print "$m | " }`;
  const child = spawn('perl', ['-e', program, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  t.after(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  await until(() => existsSync(path), 'the socket');
  return { path, received: () => text };
}

test('ready, the watchdog and stopping go out as datagrams', async (t) => {
  const { path, received } = await receiver(t);
  const environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '20000', WATCHDOG_PID: String(process.pid) };
  const readiness = openReadiness(environment, loadKoffi(openAssets()), log);
  const alive = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(alive));
  readiness.ready(':8080,\n[::1]:80');
  await until(() => received().split('WATCHDOG=1 | ').length > 3, 'the watchdog');
  readiness.stopping('TERM');
  await until(() => received().includes('STOPPING'), 'the end');
  readiness.close();
  assert.ok(received().startsWith('READY=1\nSTATUS=:8080, [::1]:80 | WATCHDOG=1 | '), received());
  assert.ok(received().includes('STOPPING=1\nSTATUS=TERM | '));
});

test('a status that changes is told, and one that does not is not', async (t) => {
  const { path, received } = await receiver(t);
  const readiness = openReadiness({ NOTIFY_SOCKET: path }, loadKoffi(openAssets()), log, 5);
  const alive = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(alive));
  let status = '1 client';
  let asked = 0;
  readiness.ready(status);
  readiness.follow(() => {
    asked++;
    return status;
  });
  await until(() => asked > 3, 'some looks');
  status = '2\nclients';
  await until(() => received().includes('2 clients'), 'the change');
  const before = asked;
  await until(() => asked > before + 3, 'some more looks');
  readiness.stopping('TERM');
  readiness.close();
  await until(() => received().includes('STOPPING'), 'the end');
  assert.equal(received(), 'READY=1\nSTATUS=1 client | STATUS=2 clients | STOPPING=1\nSTATUS=TERM | ');
});

test('a reload is told with its time, and the watchdog is not fed twice', async (t) => {
  const { path, received } = await receiver(t);
  const environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '3600000000', WATCHDOG_PID: String(process.pid) };
  const readiness = openReadiness(environment, loadKoffi(openAssets()), log);
  readiness.ready('one');
  const before = Number(process.hrtime.bigint() / 1000n);
  readiness.reloading();
  readiness.ready('two');
  readiness.close();
  await until(() => received().includes('STATUS=two'), 'the second');
  const [, time = '', rest] =
    /^READY=1\nSTATUS=one \| WATCHDOG=1 \| RELOADING=1\nMONOTONIC_USEC=(\d+) \| (.*)$/s.exec(received()) ?? [];
  assert.equal(rest, 'READY=1\nSTATUS=two | ');
  assert(Number(time) >= before, received());
});

test('an abstract socket is reached too, and one that is not there is only a warning', () => {
  const lines: string[] = [];
  const quiet = Object.assign(Object.create(log), { warn: (line: string) => lines.push(line) }) as Log;
  openReadiness({ NOTIFY_SOCKET: '@runnel-is-not-there' }, loadKoffi(openAssets()), quiet).ready('');
  assert.deepEqual(lines, ['systemd did not accept a notification']);
});

test('without the add-on, systemd-notify says it, one thing after the other', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-notify-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const said = join(folder, 'said');
  writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$NOTIFY_SOCKET $1 $2" >>${said}\n`);
  chmodSync(join(folder, 'systemd-notify'), 0o755);
  const environment = { NOTIFY_SOCKET: '/run/notify', PATH: `${folder}:/bin:/usr/bin` };
  const readiness = openReadiness(environment, undefined, log);
  readiness.ready('a');
  readiness.stopping('b');
  const text = (): string => (existsSync(said) ? readFileSync(said, 'utf8') : '');
  await until(() => text().includes('STOPPING'), 'both');
  assert.equal(text(), '/run/notify READY=1 STATUS=a\n/run/notify STOPPING=1 STATUS=b\n');
});

test('the interval is half of the watchdog, for this process only', () => {
  const cases: readonly [{ [name: string]: string }, number | undefined][] = [
    [{}, undefined],
    [{ WATCHDOG_USEC: '30000000' }, 15_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: String(process.pid) }, 15_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' }, undefined],
    [{ WATCHDOG_USEC: '0' }, undefined],
    [{ WATCHDOG_USEC: 'soon' }, undefined],
    [{ WATCHDOG_USEC: '1' }, 1],
    [{ WATCHDOG_USEC: '18446744073709551615' }, 2 ** 31 - 1],
  ];
  for (const [environment, expected] of cases) assert.equal(watchdogInterval(environment), expected);
});
