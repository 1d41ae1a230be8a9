/** The door when very many come: those that say nothing or hardly anything keep nobody else waiting, and when descriptors are used up the others are served as soon as some are free. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemCode } from '../../../src/ops/system-errors.ts';
import { type Running, startGateway } from '../../support/gateway.ts';
import { tooFewFiles } from '../../support/many.ts';
import { descriptorsOf } from '../../support/processes.ts';
import { rawRequest } from '../../support/raw.ts';
import { until } from '../../support/until.ts';

const SILENT = 2000;
/** What may stay open that was not there at first: files of what has been loaded meanwhile. */
const LOADED = 8;
const PAGE = 'GET /a.txt HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n';
const OLD_PAGE = 'GET /a.txt HTTP/1.0\r\n\r\n';

async function start(t: TestContext, more: string, launcher: readonly string[] = []): Promise<Running> {
  return await startGateway(t, {
    config: `[[listen]]\naddress = "127.0.0.1:0"\n[[listen]]\naddress = "unix:s"\n[static."/"]\nroot = "www"\n[log]\nrequests = false\n${more}`,
    files: { 'www/a.txt': 'a page' },
    launcher,
  });
}

type Target = { readonly port: number } | { readonly path: string };

function targetsOf({ port, folder }: Running): readonly Target[] {
  return [{ port }, { path: join(folder, 's') }];
}

/** Connections that nobody reads from. */
function crowdOf(t: TestContext, count: number, target: Target): Socket[] {
  const crowd = Array.from({ length: count }, () =>
    ('port' in target ? connect(target.port, '127.0.0.1') : connect(target.path)).on('error', () => undefined).resume(),
  );
  t.after(() => {
    for (const socket of crowd) socket.destroy();
  });
  return crowd;
}

/**
 * Asks at least so many times, each on a connection of its own, and until the gateway has let the crowd go. That is seen at its descriptors: what the
 * kernel never gave it to accept stays open at the client's end.
 */
async function servedMeanwhile(running: Running, target: Target, least: number, before: number): Promise<void> {
  const address = 'port' in target ? target.port : target;
  for (let served = 0; served < least || descriptorsOf(running.pid).length > before + LOADED; served += 2) {
    for (const request of [PAGE, OLD_PAGE]) {
      const reply = await rawRequest(address, request).catch((error: unknown) => {
        // A Unix socket has no queue in front of the queue: the client is told to come again, by the kernel.
        if (systemCode(error) !== 'EAGAIN') throw error;
      });
      if (reply === undefined) served -= 1;
      else assert.deepEqual([reply.status, reply.body.toString()], [200, 'a page']);
    }
  }
}

test(`${SILENT} connections that say nothing: another client is served throughout, and they are let go`, async (t) => {
  if (tooFewFiles(t, SILENT + 500)) return;
  const running = await start(
    t,
    `[connections]\nmax = ${SILENT + 200}\nmax_per_address = ${SILENT + 200}\nheader_time = "2s"\n`,
  );
  const before = descriptorsOf(running.pid).length;
  for (const target of targetsOf(running)) {
    const crowd = crowdOf(t, SILENT, target);
    await servedMeanwhile(running, target, 200, before);
    for (const socket of crowd) socket.destroy();
  }
});

test('300 that send a byte at a time are let go when the time for a head is over', async (t) => {
  const running = await start(t, '[connections]\nmax_per_address = 1000\nheader_time = "2s"\n');
  const before = descriptorsOf(running.pid).length;
  for (const target of targetsOf(running)) {
    const crowd = crowdOf(t, 300, target);
    let at = 0;
    const bytes = `GET / HTTP/1.1\r\nHost: board\r\nA: ${'b'.repeat(10_000)}`;
    const drip = setInterval(() => {
      for (const socket of crowd) if (!socket.destroyed) socket.write(bytes[at] ?? 'b');
      at++;
    }, 15);
    t.after(() => clearInterval(drip));
    await servedMeanwhile(running, target, 200, before);
    clearInterval(drip);
    for (const socket of crowd) socket.destroy();
  }
});

test('no descriptor is left: no spinning, and served again once there are some', async (t) => {
  // More connections are wanted than it may have open files.
  const running = await start(t, '[connections]\nmax_per_address = 1000\n', ['prlimit', '--nofile=128:128']);
  for (const target of targetsOf(running)) {
    const crowd = crowdOf(t, 600, target);
    for (const [index, socket] of crowd.entries()) if (index % 2 === 0) socket.write('GET /a.txt HT');
    await until(() => crowd.filter(({ destroyed }) => destroyed).length >= 300, 'most to be let go');
    const before = processorTime(running.pid);
    const from = Date.now();
    await sleep(1000);
    const busy = (processorTime(running.pid) - before) / ((Date.now() - from) / 1000);
    assert(busy < 0.5, `a processor was busy ${Math.round(busy * 100)} % of the time`);
    for (const socket of crowd) socket.destroy();
    const address = 'port' in target ? target.port : target;
    let statuses: readonly number[] = [];
    for (let tries = 0; tries < 600 && statuses.join() !== '200,200'; tries++) {
      const asked = [PAGE, OLD_PAGE].map((request) => rawRequest(address, request).catch(() => undefined));
      statuses = (await Promise.all(asked)).map((reply) => reply?.status ?? 0);
      await sleep(50);
    }
    assert.deepEqual(statuses, [200, 200]);
  }
  assert.equal(running.process.exitCode, null);
});

/** Seconds of processor time, of the process and its threads. */
function processorTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
