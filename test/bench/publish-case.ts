/** Messages of 100 bytes that are published by POST, beside the broadcaster of nginx. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchCase, column, running } from './case.ts';
import { barePost, nchanAlone, runnel } from './peers.ts';
import { cpuOf } from './proc.ts';
import { wrk } from './wrk.ts';

const MESSAGE = 'x'.repeat(100);

/** @param connections how many publish at once */
function publishCase(name: string, connections: number): BenchCase {
  return {
    name,
    title: `Publishing: a POST of ${MESSAGE.length} bytes, ${connections} ${connections === 1 ? 'connection' : 'connections'} that stay`,
    needs: ['wrk'],
    columns: [
      column('messages/s', 0),
      column('p50 ms', 2),
      column('p99 ms', 2),
      column('server CPU µs each', 1),
      column('client CPU %', 0, false),
    ],
    peers: [runnel('uws'), runnel('node'), nchanAlone, barePost],
    async measure(_peer, service, { seconds, site }) {
      const { port, processes } = running(service);
      const url = `http://127.0.0.1:${port}/board`;
      const script = join(site.folder, 'publish.lua');
      writeFileSync(
        script,
        `wrk.method = "POST"\nwrk.body = "${MESSAGE}"\nwrk.headers["Content-Type"] = "text/plain"\n`,
      );
      await wrk(url, connections, 1, { script });
      const before = cpuOf(processes());
      const load = await wrk(url, connections, seconds, { script });
      const each = ((cpuOf(processes()).own - before.own) / (load.rate * seconds)) * 1e6;
      return [load.rate, load.p50, load.p99, each, load.share * 100];
    },
  };
}

/** The same stream with its history on the disk, written once a second, and without. */
const keptCase: BenchCase = {
  name: 'publish-kept',
  title: 'Publishing: a POST of 100 bytes, 16 connections; history in memory, and on the disk with sync = "1s"',
  needs: ['wrk'],
  columns: [
    column('in memory, messages/s', 0),
    column('on the disk, messages/s', 0),
    column('in memory, CPU µs each', 1),
    column('on the disk, CPU µs each', 1),
  ],
  peers: [runnel('uws')],
  async measure(_peer, service, { seconds, site }) {
    const { port, processes } = running(service);
    const script = join(site.folder, 'publish.lua');
    writeFileSync(script, `wrk.method = "POST"\nwrk.body = "${MESSAGE}"\nwrk.headers["Content-Type"] = "text/plain"\n`);
    const paths = ['/board', '/kept'];
    for (const path of paths) await wrk(`http://127.0.0.1:${port}${path}`, 16, 1, { script });
    const measured = paths.map(() => ({ rate: 0, each: 0 }));
    // There and back, so that neither is always the one that finds the process warmer.
    for (const at of [0, 1, 1, 0]) {
      const before = cpuOf(processes());
      const { rate } = await wrk(`http://127.0.0.1:${port}${paths[at]}`, 16, seconds / 2, { script });
      const sum = measured[at];
      if (sum === undefined) continue;
      sum.rate += rate / 2;
      sum.each += ((cpuOf(processes()).own - before.own) / (rate * seconds)) * 1e6;
    }
    return [...measured.map(({ rate }) => rate), ...measured.map(({ each }) => each)];
  },
};

export const publishCases: readonly BenchCase[] = [publishCase('publish-1', 1), publishCase('publish', 16), keptCase];
