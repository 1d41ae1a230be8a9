/** Messages of 100 bytes that are published by POST, beside the broadcaster of nginx. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchCase, column, running } from './case.ts';
import { nchanAlone, runnel } from './peers.ts';
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
    peers: [runnel('uws'), runnel('node'), nchanAlone],
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

export const publishCases: readonly BenchCase[] = [publishCase('publish-1', 1), publishCase('publish', 16)];
