/** How each server is started for a run: its configuration, without a log, on a port from the system. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { whereIs } from './programs.ts';
import { endGroup, freePort, type Service, type ServiceOptions, spawnGroup, startService } from './service.ts';
import type { Site } from './site.ts';

/** How many viewers a server must be ready for. */
const CONNECTIONS = 12_000;
const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';
const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const BARE = fileURLToPath(new URL('./bare-uws.js', import.meta.url));

export interface Peer {
  readonly name: string;
  /** What has to be installed for it; empty for ourselves. */
  readonly needs: readonly string[];
  /** What to start, once its configuration is written. */
  prepare(site: Site): Promise<ServiceOptions>;
  start(site: Site): Promise<Service>;
}

function peer(name: string, needs: readonly string[], prepare: Peer['prepare']): Peer {
  return { name, needs, prepare, start: async (site) => await startService(await prepare(site)) };
}

/** @param env for measuring from within */
export function runnel(engine: 'uws' | 'node', env: NodeJS.ProcessEnv = {}): Peer {
  const name = `runnel (${engine})`;
  return peer(name, [], async (site) => {
    const port = await freePort();
    const file = join(site.folder, `runnel-${engine}-${port}.toml`);
    const lines = [
      `listen = [{ address = "127.0.0.1:${port}", engine = "${engine}" }]`,
      'log = { level = "error", requests = false }',
      `static."/" = { root = "${site.www}" }`,
      `cgi."/cgi-bin/" = { root = "${site.cgiBin}" }`,
      'stream."/echo" = { command = ["cat"], max_processes = 1000 }',
      'stream."/quiet" = { command = ["cat"], share = "all" }',
      `stream."/watch" = { command = ["${ticker(site)}"], share = "all" }`,
      `connections = { max = ${CONNECTIONS} }`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return { name, port, folder: site.folder, command: [process.execPath, MAIN, 'serve', '-c', file], env };
  });
}

export const lighttpd = peer('lighttpd', ['lighttpd'], async (site) => {
  const port = await freePort();
  const file = join(site.folder, `lighttpd-${port}.conf`);
  const lines = [
    'server.modules = ("mod_cgi")',
    `server.document-root = "${site.www}"`,
    'server.bind = "127.0.0.1"',
    `server.port = ${port}`,
    `server.errorlog = "${site.folder}/lighttpd.log"`,
    'server.max-keep-alive-requests = 100000000',
    // Without a type it sends no validators, which the others do.
    'mimetype.assign = (".bin" => "application/octet-stream")',
    '$HTTP["url"] =~ "^/cgi-bin/" { cgi.assign = ("" => "") }',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return { name: 'lighttpd', port, folder: site.folder, command: [path('lighttpd'), '-D', '-f', file] };
});

export const nginx = peer('nginx', ['nginx'], async (site) => {
  const port = await freePort();
  const command = [path('nginx'), '-c', nginxConfig(site, port)] as const;
  return { name: 'nginx', port, folder: site.folder, command, workers: true };
});

/** CGI behind nginx: it asks fcgiwrap, with four processes for a load of four. */
export const nginxFcgiwrap: Peer = {
  name: 'nginx+fcgiwrap',
  needs: ['nginx', 'fcgiwrap'],
  prepare: (site) => nginx.prepare(site),
  async start(site) {
    // It does not remove its socket.
    rmSync(fcgiSocket(site), { force: true });
    const wrap = spawnGroup({
      name: 'fcgiwrap',
      folder: site.folder,
      command: [path('fcgiwrap'), '-c', '4', '-s', `unix:${fcgiSocket(site)}`],
    });
    const server = await nginx.start(site);
    const stop = async (): Promise<void> => {
      await server.stop();
      await endGroup(wrap);
    };
    return { ...server, name: 'nginx+fcgiwrap', stop };
  },
};

export const websocketd = peer('websocketd', ['websocketd'], async (site) => {
  const port = await freePort();
  const command = [path('websocketd'), ...WEBSOCKETD_FLAGS, `--port=${port}`, 'cat'] as const;
  return { name: 'websocketd', port, folder: site.folder, command };
});

/** One process for each viewer. */
export const websocketdTicker = peer('websocketd', ['websocketd'], async (site) => {
  const port = await freePort();
  const flags = ['--loglevel=fatal', '--address=127.0.0.1', `--maxforks=${CONNECTIONS}`, `--port=${port}`];
  return { name: 'websocketd', port, folder: site.folder, command: [path('websocketd'), ...flags, ticker(site)] };
});

/** nginx's broadcaster. It starts no programs: what they would print is posted to it, over one connection that stays. */
export const nchan: Peer = {
  name: 'nchan',
  needs: ['nginx', NCHAN],
  async prepare(site) {
    const port = await freePort();
    const command = [path('nginx'), '-c', nchanConfig(site, port)] as const;
    return { name: 'nchan', port, folder: site.folder, command, workers: true };
  },
  async start(site) {
    const server = await startService(await nchan.prepare(site));
    const publisher = spawnGroup({
      name: 'nchan publisher',
      folder: site.folder,
      command: [ticker(site), String(server.port)],
    });
    const stop = async (): Promise<void> => {
      await endGroup(publisher);
      await server.stop();
    };
    return { ...server, stop };
  },
};

export const websocketdCgi = peer('websocketd --cgidir', ['websocketd'], async (site) => {
  const port = await freePort();
  const command = [path('websocketd'), ...WEBSOCKETD_FLAGS, `--port=${port}`, `--cgidir=${site.cgiBin}`] as const;
  return { name: 'websocketd --cgidir', port, folder: site.folder, command };
});

/** uWebSockets.js that answers by itself: shows how much more the load client could ask for. */
export const bareEcho = bare('uWS alone, no program');
/** The same for a file: what is left when nothing is decided, looked up or counted. */
export const bareFile = bare('uWS alone, no file');

function bare(name: string): Peer {
  return peer(name, [], async (site) => {
    const port = await freePort();
    return { name, port, folder: site.folder, command: [process.execPath, BARE, String(port)] };
  });
}

const WEBSOCKETD_FLAGS = ['--loglevel=fatal', '--address=127.0.0.1', '--maxforks=1000'] as const;

function nginxConfig(site: Site, port: number): string {
  const file = join(site.folder, `nginx-${port}.conf`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${site.folder}/nginx-${kind};`)
    .join('\n  ');
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  writeFileSync(
    file,
    `${user}
daemon off;
worker_processes 1;
error_log ${site.folder}/nginx.log crit;
pid ${site.folder}/nginx-${port}.pid;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  ${temporary}
  server {
    listen 127.0.0.1:${port};
    root ${site.www};
    location /cgi-bin/ {
      fastcgi_pass unix:${fcgiSocket(site)};
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param GATEWAY_INTERFACE CGI/1.1;
    }
  }
}
`,
  );
  return file;
}

function nchanConfig(site: Site, port: number): string {
  const file = join(site.folder, `nchan-${port}.conf`);
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  writeFileSync(
    file,
    `${user}
load_module ${NCHAN};
daemon off;
worker_processes 1;
worker_rlimit_nofile ${CONNECTIONS + 100};
error_log ${site.folder}/nchan.log crit;
pid ${site.folder}/nchan-${port}.pid;
events { worker_connections ${CONNECTIONS}; }
http {
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path ${site.folder}/nchan-body;
  server {
    listen 127.0.0.1:${port};
    tcp_nodelay on;
    location = /pub { nchan_publisher; nchan_channel_id bench; }
    location = /watch { nchan_subscriber websocket; nchan_channel_id bench; nchan_subscriber_first_message newest; }
    location = /quiet { nchan_subscriber websocket; nchan_channel_id quiet; nchan_subscriber_first_message newest; }
  }
}
`,
  );
  return file;
}

function ticker(site: Site): string {
  return join(site.folder, 'ticker');
}

function fcgiSocket(site: Site): string {
  return join(site.folder, 'fcgiwrap.sock');
}

function path(program: string): string {
  const found = whereIs(program);
  if (found === undefined) throw new Error(`${program} is not installed`);
  return found;
}
