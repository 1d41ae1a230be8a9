/** How each server is started for a run: its configuration, without a log, on a port from the system. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../support/ports.ts';
import { whereIs } from './programs.ts';
import { endGroup, type Service, type ServiceOptions, spawnGroup, startService } from './service.ts';
import type { Site } from './site.ts';

/** How many viewers a server must be ready for. */
const CONNECTIONS = 12_000;
/** Lines that a source of bursts prints at once. */
export const BURST = 50;
const LIGHTTPD_TLS = '/usr/lib/lighttpd/mod_openssl.so';
const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';
/** What is measured as runnel. */
export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const BARE = fileURLToPath(new URL('./bare-uws.js', import.meta.url));

export interface Peer {
  readonly name: string;
  /** What has to be installed for it; empty for ourselves. */
  readonly needs: readonly string[];
  /** Whether it speaks TLS. */
  readonly secure: boolean;
  /** What to start, once its configuration is written. */
  prepare(site: Site): Promise<ServiceOptions>;
  start(site: Site): Promise<Service>;
  /** Of ourselves: the same by another build, `main.js` or an executable. */
  built?(program: string, suffix: string): Peer;
}

interface PeerOptions {
  readonly needs?: readonly string[];
  readonly secure?: boolean;
}

function peer(name: string, { needs = [], secure = false }: PeerOptions, prepare: Peer['prepare']): Peer {
  return { name, needs, secure, prepare, start: async (site) => await startService(await prepare(site)) };
}

export interface RunnelOptions {
  readonly secure?: boolean;
  /** As the packaged executable starts itself (`scripts/package/targets.mjs`): where memory counts. */
  readonly packaged?: boolean;
  /** For measuring from within. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whether its name says what it speaks. */
  readonly schemes?: boolean;
}

/** @param engine "auto" is a listener without the key. */
export function runnel(engine: 'auto' | 'uws' | 'node', options: RunnelOptions = {}, program = MAIN): Peer {
  const { secure = false, packaged = false, schemes = false } = options;
  const name = `runnel (${engine}${schemes ? (secure ? ', wss' : ', ws') : ''})`;
  const env = { ...options.env, ...(packaged ? { NODE_OPTIONS: '--max-semi-space-size=1' } : {}) };
  const made = peer(name, { secure }, async (site) => {
    const port = await freePort();
    const file = join(site.folder, `runnel-${engine}-${port}.toml`);
    const tls = secure ? `, tls = { certificate = "${site.certificate}", key = "${site.key}" }` : '';
    const lines = [
      `listen = [{ address = "127.0.0.1:${port}", engine = "${engine}"${tls} }]`,
      'log = { level = "error", requests = false }',
      `static."/" = { root = "${site.www}" }`,
      `cgi."/cgi-bin/" = { root = "${site.cgiBin}" }`,
      'stream."/echo" = { command = ["cat"], max_processes = 1000 }',
      'stream."/quiet" = { command = ["cat"], share = "all" }',
      'stream."/board" = { publish = true, limits = { messages_per_second = 0 } }',
      `stream."/kept" = { publish = true, limits = { messages_per_second = 0 }, history = { file = "${site.folder}/kept-${port}", sync = "1s", bytes = "64MiB" } }`,
      `stream."/watch" = { command = ["${ticker(site)}"], share = "all" }`,
      `stream."/burst" = { command = ["${ticker(site)}", "${BURST}"], share = "all" }`,
      `connections = { max = ${CONNECTIONS} }`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const start: [string, ...string[]] = program.endsWith('.js') ? [process.execPath, program] : [program];
    return { name, port, folder: site.folder, command: [...start, 'serve', '-c', file], env };
  });
  return { ...made, built: (other, suffix) => ({ ...runnel(engine, options, other), name: `${name}${suffix}` }) };
}

export const lighttpd = lighttpdWith(false);
export const lighttpdTls = lighttpdWith(true);

function lighttpdWith(secure: boolean): Peer {
  const needs = ['lighttpd', ...(secure ? [LIGHTTPD_TLS] : [])];
  return peer('lighttpd', { needs, secure }, async (site) => {
    const port = await freePort();
    const file = join(site.folder, `lighttpd-${port}.conf`);
    writeFileSync(file, `${lighttpdLines(site, port, secure).join('\n')}\n`);
    return { name: 'lighttpd', port, folder: site.folder, command: [path('lighttpd'), '-D', '-f', file] };
  });
}

function lighttpdLines(site: Site, port: number, secure: boolean): string[] {
  return [
    `server.modules = ("mod_cgi"${secure ? ', "mod_openssl"' : ''})`,
    ...(secure ? ['ssl.engine = "enable"', `ssl.pemfile = "${site.certificate}"`, `ssl.privkey = "${site.key}"`] : []),
    `server.document-root = "${site.www}"`,
    'server.bind = "127.0.0.1"',
    `server.port = ${port}`,
    `server.errorlog = "${site.folder}/lighttpd.log"`,
    'server.max-keep-alive-requests = 100000000',
    // Without a type it sends no validators, which the others do.
    'mimetype.assign = (".bin" => "application/octet-stream")',
    '$HTTP["url"] =~ "^/cgi-bin/" { cgi.assign = ("" => "") }',
  ];
}

export const nginx = nginxWith(false);
export const nginxTls = nginxWith(true);

function nginxWith(secure: boolean): Peer {
  return peer('nginx', { needs: ['nginx'], secure }, async (site) => {
    const port = await freePort();
    const command = [path('nginx'), '-c', nginxConfig(site, port, secure)] as const;
    return { name: 'nginx', port, folder: site.folder, command, workers: true };
  });
}

/** CGI behind nginx: it asks fcgiwrap, with four processes for a load of four. */
export const nginxFcgiwrap: Peer = {
  name: 'nginx+fcgiwrap',
  needs: ['nginx', 'fcgiwrap'],
  secure: false,
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

export const websocketd = websocketdWith(false);
export const websocketdTls = websocketdWith(true);

function websocketdWith(secure: boolean): Peer {
  return peer('websocketd', { needs: ['websocketd'], secure }, async (site) => {
    const port = await freePort();
    const tls = secure ? ['--ssl', `--sslcert=${site.certificate}`, `--sslkey=${site.key}`] : [];
    const command = [path('websocketd'), ...WEBSOCKETD_FLAGS, ...tls, `--port=${port}`, 'cat'] as const;
    return { name: 'websocketd', port, folder: site.folder, command };
  });
}

/** One process for each viewer. */
export const websocketdTicker = peer('websocketd', { needs: ['websocketd'] }, async (site) => {
  const port = await freePort();
  const flags = ['--loglevel=fatal', '--address=127.0.0.1', `--maxforks=${CONNECTIONS}`, `--port=${port}`];
  return { name: 'websocketd', port, folder: site.folder, command: [path('websocketd'), ...flags, ticker(site)] };
});

/** nginx's broadcaster. It starts no programs: what they would print is posted to it, over one connection that stays. */
export const nchan = nchanWith(1);
export const nchanBurst = nchanWith(BURST);
export const nchanTls = nchanWith(1, true);

/** The same with nobody who posts. */
export const nchanAlone = nchanServer(false);

function nchanServer(secure: boolean): Peer {
  return peer('nchan', { needs: ['nginx', NCHAN], secure }, async (site) => {
    const port = await freePort();
    const command = [path('nginx'), '-c', nchanConfig(site, port, secure)] as const;
    return { name: 'nchan', port, folder: site.folder, command, workers: true };
  });
}

function nchanWith(burst: number, secure = false): Peer {
  const made = nchanServer(secure);
  return {
    ...made,
    async start(site) {
      const server = await made.start(site);
      const publisher = spawnGroup({
        name: 'nchan publisher',
        folder: site.folder,
        command: [ticker(site), String(burst), publishingSocket(site, server.port)],
      });
      const stop = async (): Promise<void> => {
        await endGroup(publisher);
        await server.stop();
      };
      return { ...server, stop };
    },
  };
}

export const websocketdCgi = peer('websocketd --cgidir', { needs: ['websocketd'] }, async (site) => {
  const port = await freePort();
  const command = [path('websocketd'), ...WEBSOCKETD_FLAGS, `--port=${port}`, `--cgidir=${site.cgiBin}`] as const;
  return { name: 'websocketd --cgidir', port, folder: site.folder, command };
});

/** uWebSockets.js that answers by itself: shows how much more the load client could ask for. */
export const bareEcho = bare('uWS alone, no program');
/** The same for a file: what is left when nothing is decided, looked up or counted. */
export const bareFile = bare('uWS alone, no file');
/** The same for a message that is posted. */
export const barePost = bare('uWS alone, no stream');
export const bareEchoTls = bare('uWS alone, no program', true);
export const bareFileTls = bare('uWS alone, no file', true);

function bare(name: string, secure = false): Peer {
  return peer(name, { secure }, async (site) => {
    const port = await freePort();
    const tls = secure ? [site.certificate, site.key] : [];
    return { name, port, folder: site.folder, command: [process.execPath, BARE, String(port), ...tls] };
  });
}

const WEBSOCKETD_FLAGS = ['--loglevel=fatal', '--address=127.0.0.1', '--maxforks=1000'] as const;

function nginxConfig(site: Site, port: number, secure: boolean): string {
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
    ${nginxListenLines(site, port, secure)}
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

function nchanConfig(site: Site, port: number, secure: boolean): string {
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
    ${nginxListenLines(site, port, secure)}
    tcp_nodelay on;
    location = /watch { nchan_subscriber websocket eventsource; nchan_channel_id bench; nchan_subscriber_first_message newest; }
    location = /burst { nchan_subscriber websocket eventsource; nchan_channel_id bench; nchan_subscriber_first_message newest; }
    location = /board { nchan_pubsub; nchan_channel_id board; nchan_message_buffer_length 100; nchan_subscriber_first_message newest; }
    location = /quiet { nchan_subscriber websocket; nchan_channel_id quiet; nchan_subscriber_first_message newest; }
  }
  # The publisher's side is the same whatever the viewers speak.
  server {
    listen unix:${publishingSocket(site, port)};
    location = /pub { nchan_publisher; nchan_channel_id bench; }
  }
}
`,
  );
  return file;
}

function nginxListenLines(site: Site, port: number, secure: boolean): string {
  if (!secure) return `listen 127.0.0.1:${port};`;
  // Without its protocols nginx 1.22 speaks TLS 1.0 to 1.2.
  return `listen 127.0.0.1:${port} ssl;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate ${site.certificate};
    ssl_certificate_key ${site.key};`;
}

function publishingSocket(site: Site, port: number): string {
  return join(site.folder, `nchan-${port}.sock`);
}

function ticker(site: Site): string {
  return join(site.folder, 'ticker');
}

function fcgiSocket(site: Site): string {
  return join(site.folder, 'fcgiwrap.sock');
}

/** Where it is; throws where it is not. */
export function path(program: string): string {
  const found = whereIs(program);
  if (found === undefined) throw new Error(`${program} is not installed`);
  return found;
}
