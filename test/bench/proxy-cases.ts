/** Pages, WebSockets and a large file from another server, through runnel, nginx and Caddy. Only the proxy's own processor time counts. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/ports.ts';
import { type BenchCase, column, running } from './case.ts';
import { download, sparseFile } from './download-case.ts';
import { echo } from './echo-cases.ts';
import { httpCase } from './http-cases.ts';
import { bareEcho, MAIN, nginx, type Peer, path } from './peers.ts';
import { cpuOf } from './proc.ts';
import { type Service, type ServiceOptions, startService } from './service.ts';
import type { Site } from './site.ts';

const BYTES = 200_000_000;
const MIB = 2 ** 20;
const WINDOW = 32;

/** The ports of what stands behind it: files by nginx, an echo by uWebSockets.js. */
interface Behind {
  readonly pages: number;
  readonly echo: number;
}

type Prepare = (site: Site, behind: Behind) => Promise<ServiceOptions>;

/** Each has servers of its own behind it, which nothing else asks meanwhile. */
function proxy(name: string, needs: readonly string[], prepare: Prepare): Peer {
  return {
    name,
    needs: [...needs, 'nginx'],
    secure: false,
    prepare: (site) => prepare(site, { pages: 0, echo: 0 }),
    async start(site) {
      const begun: Service[] = [];
      const stop = async (): Promise<void> => {
        for (const service of begun.splice(0).reverse()) await service.stop();
      };
      const begin = async (start: Promise<Service>): Promise<Service> => {
        const service = await start;
        begun.push(service);
        return service;
      };
      try {
        const pages = await begin(nginx.start(site));
        const sockets = await begin(bareEcho.start(site));
        const own = await begin(startService(await prepare(site, { pages: pages.port, echo: sockets.port })));
        return { ...own, stop };
      } catch (error) {
        await stop();
        throw error;
      }
    },
  };
}

function runnelProxy(engine: 'uws' | 'node', program = MAIN): Peer {
  const name = `runnel (${engine})`;
  const made = proxy(name, [], async (site, { pages, echo: sockets }) => {
    const port = await freePort();
    const file = join(site.folder, `runnel-proxy-${port}.toml`);
    const lines = [
      `listen = [{ address = "127.0.0.1:${port}", engine = "${engine}" }]`,
      'log = { level = "error", requests = false }',
      `proxy."/" = { upstream = "http://127.0.0.1:${pages}", max_idle = 64 }`,
      `proxy."/echo" = { upstream = "http://127.0.0.1:${sockets}" }`,
      'defaults = { limits = { messages_per_second = 0, message_bytes_per_second = 0 } }',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const start: [string, ...string[]] = program.endsWith('.js') ? [process.execPath, program] : [program];
    return { name, port, folder: site.folder, command: [...start, 'serve', '-c', file] };
  });
  return { ...made, built: (other, suffix) => ({ ...runnelProxy(engine, other), name: `${name}${suffix}` }) };
}

const nginxProxy = proxy('nginx', [], async (site, { pages, echo: sockets }) => {
  const port = await freePort();
  const file = join(site.folder, `nginx-proxy-${port}.conf`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((what) => `${what}_temp_path ${site.folder}/proxy-${what};`)
    .join(' ');
  writeFileSync(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
error_log ${site.folder}/nginx.log crit;
pid ${site.folder}/nginx-proxy-${port}.pid;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 100000000;
  ${temporary}
  upstream pages { server 127.0.0.1:${pages}; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port};
    proxy_http_version 1.1;
    location / { proxy_pass http://pages; proxy_set_header Connection ""; }
    location = /echo {
      proxy_pass http://127.0.0.1:${sockets};
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
    }
  }
}
`,
  );
  return { name: 'nginx', port, folder: site.folder, command: [path('nginx'), '-c', file], workers: true };
});

const caddyProxy = proxy('Caddy', ['caddy'], async (site, { pages, echo: sockets }) => {
  const port = await freePort();
  const file = join(site.folder, `Caddyfile-${port}`);
  writeFileSync(
    file,
    `{
\tadmin off
\tauto_https off
\tstorage file_system ${site.folder}/caddy
}
http://127.0.0.1:${port} {
\thandle /echo {
\t\treverse_proxy 127.0.0.1:${sockets}
\t}
\thandle {
\t\treverse_proxy 127.0.0.1:${pages}
\t}
}
`,
  );
  const command = [path('caddy'), 'run', '--config', file, '--adapter', 'caddyfile'] as const;
  // One core for each, as the others have it.
  return { name: 'Caddy', port, folder: site.folder, command, env: { GOMAXPROCS: '1', HOME: site.folder } };
});

const PEERS = [runnelProxy('uws'), runnelProxy('node'), nginxProxy, caddyProxy];

const echoThrough: BenchCase = {
  name: 'proxy-echo',
  title: 'WebSocket echo by a server behind, 64 bytes, 50 connections',
  needs: [],
  columns: [
    column(`messages/s, ${WINDOW} under way`, 0),
    column('server CPU µs each', 1),
    column('client CPU %', 0, false),
    column('messages/s, 1 under way', 0),
    column('server CPU µs each', 1),
    column('p99 ms', 3),
  ],
  peers: PEERS,
  async measure(_peer, service, { seconds }) {
    const server = running(service);
    const order = { port: server.port, path: '/echo', secure: false, connections: 50, warmUp: 0.5, seconds };
    const many = await echo(server, { ...order, window: WINDOW });
    const one = await echo(server, { ...order, window: 1 });
    return [many.rate, many.server, many.share * 100, one.rate, one.server, one.p99];
  },
};

const downloadThrough: BenchCase = {
  name: 'proxy-200m',
  title: `A file of ${BYTES / 1e6} MB from a server behind, for one client`,
  needs: ['curl'],
  columns: [column('MB/s', 0), column('server CPU ms for 100 MB', 0), column('peak private MiB', 1, false)],
  peers: PEERS,
  async measure({ name }, service, { site }) {
    const server = running(service);
    const file = sparseFile(site, BYTES);
    await download(server, file, []);
    const before = cpuOf(server.processes()).own;
    const { bytes, seconds, peak } = await download(server, file, []);
    if (bytes !== BYTES) throw new Error(`${name}: ${bytes} bytes came`);
    const cpu = cpuOf(server.processes()).own - before;
    return [bytes / seconds / 1e6, (cpu / bytes) * 1e11, peak.anonymous / MIB];
  },
};

export const proxyCases: readonly BenchCase[] = [
  httpCase({
    name: 'proxy-1k',
    title: 'A file of 1 KiB from a server behind, 16 connections',
    connections: 16,
    path: '/1k.bin',
    peers: PEERS,
  }),
  httpCase({
    name: 'proxy-100k',
    title: 'A file of 100 KiB from a server behind, 16 connections',
    connections: 16,
    path: '/100k.bin',
    peers: PEERS,
  }),
  echoThrough,
  downloadThrough,
];
