/** A file that the client has already: 304s a second, beside the 200s that the same server gives for it. */
import { type BenchCase, column, running } from './case.ts';
import { lighttpd, nginx, runnel } from './peers.ts';
import { cpuOf } from './proc.ts';
import type { Service } from './service.ts';
import { type HttpLoad, wrk } from './wrk.ts';

const CONNECTIONS = 16;
const PATH = '/1k.bin';

interface Spent extends HttpLoad {
  /** Microseconds of the server's CPU time for each answer. */
  readonly each: number;
}

async function load({ port, processes }: Service, seconds: number, headers: readonly string[]): Promise<Spent> {
  const url = `http://127.0.0.1:${port}${PATH}`;
  await wrk(url, CONNECTIONS, 1, { headers });
  const before = cpuOf(processes()).own;
  const got = await wrk(url, CONNECTIONS, seconds, { headers });
  return { ...got, each: ((cpuOf(processes()).own - before) / (got.rate * seconds)) * 1e6 };
}

async function entityTag(port: number): Promise<string> {
  const url = `http://127.0.0.1:${port}${PATH}`;
  const tag = (await fetch(url)).headers.get('etag');
  if (tag === null) throw new Error(`${url} has no ETag`);
  const { status } = await fetch(url, { headers: { 'if-none-match': tag } });
  if (status !== 304) throw new Error(`${url} answers ${status} to its own ETag`);
  return tag;
}

export const notModifiedCase: BenchCase = {
  name: 'static-304',
  title: `Static file of 1 KiB, ${CONNECTIONS} connections: 304 beside 200`,
  needs: ['wrk'],
  columns: [
    column('304/s', 0),
    column('200/s', 0),
    column('304/s over 200/s', 2, false),
    column('server CPU µs for a 304', 1),
    column('for a 200', 1),
    column('client CPU %', 0, false),
  ],
  peers: [runnel('uws'), runnel('node'), lighttpd, nginx],
  async measure(_peer, service, { seconds }) {
    const server = running(service);
    const tag = await entityTag(server.port);
    const unchanged = await load(server, seconds, [`If-None-Match: ${tag}`]);
    const whole = await load(server, seconds, []);
    return [unchanged.rate, whole.rate, unchanged.rate / whole.rate, unchanged.each, whole.each, unchanged.share * 100];
  },
};
