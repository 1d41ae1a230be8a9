// Prints what runnel and other servers hold in memory, idle and with 1,000 viewers, as a table.
//
//   npm run package && sudo npm run measure:beside [viewers]
//
// A viewer of runnel is a WebSocket on one stream that all share. For websocketd it is a WebSocket, too, and each has a program of its own,
// as websocketd does it. The others have no streams: there it is a connection that has got a page and is kept open. "Private" is anonymous
// memory; RSS counts pages of files as well, which the kernel can drop, and PSS shares those among the processes that have them. Servers that are not installed
// are left out. Each comes plain and with TLS (the same certificate, ECDSA on P-256). Needs root, to see the memory of processes of other users.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { upgrade, Waiting } from './memory-load.mjs';

const VIEWERS = Number(process.argv[2] ?? 1000);
const PAGE = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
/** Milliseconds in which a server comes to rest. */
const REST = 3000;

// Not under /tmp, which a server that gives up root may not enter.
const folder = mkdtempSync('/var/tmp/runnel-beside-');
execFileSync('chmod', ['755', folder]);
const www = join(folder, 'www');
mkdirSync(www);
writeFileSync(join(www, 'index.html'), '<!doctype html><title>a page</title><p>hello\n');

// Nobody checks it.
execFileSync(resolve('dist/runnel-linux-x64'), ['tls', 'self-signed', 'localhost', '127.0.0.1', '--out', folder]);
const certificate = join(folder, 'server.pem');
const key = join(folder, 'server.key');

function file(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const runnel = (port, secure) =>
  file(
    'runnel.toml',
    `[[listen]]\naddress = "127.0.0.1:${port}"\n${secure ? `tls = { certificate = "${certificate}", key = "${key}" }\n` : ''}[static."/"]\nroot = "www"\n[stream."/live"]\ncommand = ["cat"]\nshare = "all"\n[log]\nrequests = false\n`,
  );

/** Each gives the command for a port, plain or with TLS. */
const SERVERS = [
  [
    'runnel, the executable',
    '/live',
    (port, secure) => [resolve('dist/runnel-linux-x64'), 'serve', '-c', runnel(port, secure)],
  ],
  [
    'runnel with Node',
    '/live',
    (port, secure) => [process.execPath, 'dist/src/main.js', 'serve', '-c', runnel(port, secure)],
  ],
  [
    'websocketd',
    '/',
    (port, secure) => [
      'websocketd',
      '--address=127.0.0.1',
      `--port=${port}`,
      ...(secure ? ['--ssl', `--sslcert=${certificate}`, `--sslkey=${key}`] : []),
      'cat',
    ],
  ],
  [
    'lighttpd',
    undefined,
    (port, secure) => [
      'lighttpd',
      '-D',
      '-f',
      file(
        'lighttpd.conf',
        `server.document-root = "${www}"\nserver.bind = "127.0.0.1"\nserver.port = ${port}\nindex-file.names = ("index.html")\nserver.max-fds = 8192\nserver.max-connections = 4096\nserver.max-keep-alive-idle = 120\nmimetype.assign = (".html" => "text/html")\n${secure ? `server.modules = ("mod_openssl")\nssl.engine = "enable"\nssl.pemfile = "${certificate}"\nssl.privkey = "${key}"\n` : ''}`,
      ),
    ],
  ],
  [
    'nginx',
    undefined,
    (port, secure) => [
      'nginx',
      '-c',
      file(
        'nginx.conf',
        `daemon off;\nworker_processes 1;\nworker_rlimit_nofile 8192;\npid ${folder}/nginx.pid;\nerror_log /dev/null;\nevents { worker_connections 4096; }\nhttp { access_log off; keepalive_timeout 120s; server { listen 127.0.0.1:${port}${secure ? ` ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate ${certificate}; ssl_certificate_key ${key}` : ''}; root ${www}; } }\n`,
      ),
    ],
  ],
  [
    'Caddy',
    undefined,
    (port, secure) => [
      'caddy',
      'run',
      '--adapter',
      'caddyfile',
      '--config',
      file(
        'Caddyfile',
        `{\n\tadmin off\n\tauto_https off\n}\n${secure ? 'https' : 'http'}://127.0.0.1:${port} {\n${secure ? `\ttls ${certificate} ${key}\n` : ''}\troot * ${www}\n\tfile_server\n}\n`,
      ),
    ],
  ],
];

try {
  console.log(`MiB; ${VIEWERS} viewers`);
  console.log(
    '| | idle: RSS | PSS | private | with viewers: RSS | PSS | private | its programs: how many | PSS | private |',
  );
  console.log(`|${' --- |'.repeat(10)}`);
  for (const secure of [false, true])
    for (const [name, path, command] of SERVERS)
      console.log(await row(`${name}${secure ? ', TLS' : ''}`, path, command, secure));
} finally {
  rmSync(folder, { recursive: true });
}

async function row(name, path, command, secure) {
  const port = await freePort();
  const [program, ...args] = command(port, secure);
  const missing = program.startsWith('/') ? !existsSync(program) : !installed(program);
  if (missing) return `| ${name} | not there${' |'.repeat(9)}`;
  const server = spawn(program, args, { stdio: 'ignore', env: { ...process.env, HOME: folder } });
  const exited = new Promise((done) => server.once('exit', done));
  const viewers = new Waiting(secure);
  try {
    await answers(port, secure, server);
    await delay(REST);
    const idle = memory(server.pid);
    const head = path === undefined ? PAGE : upgrade(path);
    await viewers.open(port, VIEWERS, () => head);
    await delay(REST);
    if (viewers.refused > 0) throw new Error(`${name}: ${viewers.refused} viewers were refused`);
    const busy = memory(server.pid);
    const { own, programs } = busy;
    const figures = (sums) => [sums.Rss, sums.Pss, sums.Anonymous].map((kibibytes) => (kibibytes / 1024).toFixed(1));
    const rest = [programs.count, ...figures(programs).slice(1)];
    return `| ${name} | ${[...figures(idle.own), ...figures(own), ...rest].join(' | ')} |`;
  } finally {
    viewers.close();
    server.kill('SIGTERM');
    const hard = setTimeout(() => server.kill('SIGKILL'), 5000);
    await exited;
    clearTimeout(hard);
  }
}

function installed(program) {
  return (process.env.PATH ?? '').split(':').some((directory) => existsSync(join(directory, program)));
}

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

async function answers(port, secure, server) {
  for (let left = 1000; left > 0; left -= 1) {
    if (server.exitCode !== null) throw new Error(`${server.spawnfile} ended at once`);
    // websocketd has no page: any answer will do.
    const one = new Waiting(secure);
    await one.open(port, 1, () => PAGE);
    one.close();
    if (one.refused === 0) return;
    await delay(10);
  }
  throw new Error(`${server.spawnfile} does not answer`);
}

/** Kibibytes of a server's own processes (those with its program's name, as nginx's worker has) and of what it has started. */
function memory(pid) {
  const own = { count: 0, Rss: 0, Pss: 0, Anonymous: 0 };
  const programs = { ...own };
  const name = readFileSync(`/proc/${pid}/comm`, 'utf8');
  for (const process of family(pid)) {
    const sums = readFileSync(`/proc/${process}/comm`, 'utf8') === name ? own : programs;
    const rollup = readFileSync(`/proc/${process}/smaps_rollup`, 'utf8');
    sums.count += 1;
    for (const key of ['Rss', 'Pss', 'Anonymous'])
      sums[key] += Number(new RegExp(`^${key}: +(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
  }
  return { own, programs };
}

/** A process and all that descend from it. */
function family(pid) {
  const tasks = execFileSync('sh', ['-c', `cat /proc/${pid}/task/*/children`], { encoding: 'utf8' });
  const children = tasks.split(' ').filter((word) => word !== '');
  return [pid, ...children.flatMap((child) => family(Number(child)))];
}
