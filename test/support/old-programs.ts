/**
 * Little web servers as Debian has them, with CGI programs where they run any: what a polled stream meets behind `poll = "http://…"`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { folderWith } from './gateway.ts';
import { startPeer } from './peer.ts';
import { freePort } from './ports.ts';
import { until } from './processes.ts';

export interface OldProgram {
  readonly name: string;
  readonly program: string;
  /** To run in the foreground. */
  args(to: { readonly port: number; readonly www: string; readonly folder: string }): readonly string[];
  /** How it answers for a CGI program that says nothing of its length; undefined where it runs none. */
  readonly cgi:
    | {
        readonly version: '1.0' | '1.1';
        /** Whether it says how long the answer is; otherwise the connection's end is the answer's. */
        readonly length: boolean;
        /** "cut": it ends the connection as soon as it has read a body, most often before the program has answered. */
        readonly posts: boolean | 'cut';
        /** Whether If-None-Match reaches the program, and its 304 the client. */
        readonly conditional: boolean;
      }
    | undefined;
  /** The field that makes it answer 304 for a file. */
  readonly fileCondition: 'if-none-match' | 'if-modified-since' | undefined;
  /** It serves one connection, at its standard input and output. */
  readonly inetd?: true;
}

export const OLD_PROGRAMS: readonly OldProgram[] = [
  {
    name: 'busybox httpd',
    program: '/usr/bin/busybox',
    args: ({ port, www }) => ['httpd', '-f', '-p', `127.0.0.1:${port}`, '-h', www],
    cgi: { version: '1.1', length: false, posts: true, conditional: false },
    fileCondition: 'if-none-match',
  },
  {
    name: 'mini_httpd',
    program: '/usr/sbin/mini_httpd',
    args: ({ port, www }) =>
      ['-D', '-h', '127.0.0.1', '-p', `${port}`, '-d', www, '-c', 'cgi-bin/*', '-u', 'root'], // biome-ignore format: one line
    cgi: { version: '1.0', length: false, posts: 'cut', conditional: false },
    fileCondition: 'if-modified-since',
  },
  {
    name: 'webfsd',
    program: '/usr/bin/webfsd',
    args: ({ port, www }) => ['-F', '-i', '127.0.0.1', '-p', `${port}`, '-r', www, '-x', '/cgi-bin'],
    cgi: { version: '1.1', length: false, posts: false, conditional: true },
    fileCondition: 'if-modified-since',
  },
  {
    name: 'lighttpd',
    program: '/usr/sbin/lighttpd',
    args: ({ port, www, folder }) => {
      const file = join(folder, 'lighttpd.conf');
      writeFileSync(
        file,
        `server.document-root = "${www}"
server.bind = "127.0.0.1"
server.port = ${port}
server.modules = ("mod_cgi")
cgi.assign = (".cgi" => "")
mimetype.assign = (".txt" => "text/plain")
`,
      );
      return ['-D', '-f', file];
    },
    cgi: { version: '1.1', length: true, posts: true, conditional: true },
    fileCondition: 'if-none-match',
  },
  {
    name: 'python3 -m http.server --cgi',
    program: '/usr/bin/python3',
    args: ({ port, www }) => ['-m', 'http.server', '--cgi', '--bind', '127.0.0.1', '--directory', www, `${port}`],
    cgi: { version: '1.0', length: false, posts: true, conditional: false },
    fileCondition: 'if-modified-since',
  },
  {
    name: 'micro-httpd',
    program: '/usr/sbin/micro-httpd',
    args: ({ www }) => [www],
    cgi: undefined,
    fileCondition: undefined,
    inetd: true,
  },
];

/** One request and its answer, as they were on the line. */
export interface Said {
  readonly request: string;
  readonly answer: string;
}

export interface OldSite {
  readonly port: number;
  /** The same through a line that writes down what is said. */
  readonly recorded: number;
  /** What was asked there for a path that begins so and has an answer, in its order. */
  asked(path: string): readonly Said[];
  /** How often page.cgi has run to show something. */
  runs(): number;
  /** What page.cgi prints from now on: head and body. */
  print(output: string): void;
  /** What /file.txt says from now on. @param settled whether its time is long ago, and another one each time */
  write(content: string, settled?: boolean): void;
  /** Ends the server: nobody listens at the port then. */
  stop(): Promise<void>;
  /** At the same port again. */
  start(): Promise<void>;
}

const MOST_REMEMBERED = 65_536;
const LARGE_FILE = 50_000_000;

/** A program that counts its runs, and reads no more of a body than CONTENT_LENGTH (RFC 3875 section 4.2). */
const PAGE = (state: string): string => `#!/bin/sh
cd '${state}' || exit 1
if [ "$REQUEST_METHOD" = POST ]; then
  said=$(head -c "$CONTENT_LENGTH")
  printf 'Content-Type: text/plain\\r\\n\\r\\n%s' "$CONTENT_TYPE $QUERY_STRING: $said"
  exit
fi
echo run >>runs
if [ -n "$HTTP_IF_NONE_MATCH" ] && grep -qF "ETag: $HTTP_IF_NONE_MATCH" output; then
  printf 'Status: 304 Not Modified\\r\\n\\r\\n'
  exit
fi
exec cat output
`;

const LARGE = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
exec head -c ${LARGE_FILE} /dev/zero
`;

/** Serves /file.txt, /large.bin (50 MB), and where it runs programs /cgi-bin/page.cgi and large.cgi. Ended with the test. */
export async function oldSite(t: TestContext, program: OldProgram): Promise<OldSite> {
  const folder = folderWith(t, {});
  const [www, state] = [join(folder, 'www'), join(folder, 'state')];
  mkdirSync(join(www, 'cgi-bin'), { recursive: true });
  mkdirSync(state);
  // Some run their programs as nobody when they are root.
  chmodSync(folder, 0o755);
  chmodSync(state, 0o777);
  for (const [name, text] of [
    ['page.cgi', PAGE(state)],
    ['large.cgi', LARGE],
  ] as const)
    writeFileSync(join(www, 'cgi-bin', name), text, { mode: 0o755 });
  writeFileSync(join(www, 'large.bin'), Buffer.alloc(LARGE_FILE));
  let writes = 0;
  const replace = (path: string, content: string, settled = true): void => {
    writeFileSync(`${path}.new`, content);
    // In seconds, like Last-Modified, and in the past, so that each is another time.
    const time = Math.floor(Date.now() / 1000) - 1000 + ++writes;
    if (settled) utimesSync(`${path}.new`, time, time);
    renameSync(`${path}.new`, path);
  };
  const server = await listening(t, program, { www, folder });
  const lines: Said[] = [];
  const recorder = await startPeer(t, (client) => lines.push(record(client, server.port)));
  return {
    port: server.port,
    recorded: recorder.port,
    asked: (path) => lines.flatMap(exchanges).filter(({ request }) => request.split(' ')[1]?.startsWith(path)),
    runs: () =>
      existsSync(join(state, 'runs')) ? readFileSync(join(state, 'runs'), 'latin1').split('\n').length - 1 : 0,
    print: (output) => replace(join(state, 'output'), output),
    write: (content, settled) => replace(join(www, 'file.txt'), content, settled),
    stop: () => server.stop(),
    start: () => server.start(),
  };
}

interface Listening {
  readonly port: number;
  start(): Promise<void>;
  stop(): Promise<void>;
}

async function listening(
  t: TestContext,
  program: OldProgram,
  folders: { readonly www: string; readonly folder: string },
): Promise<Listening> {
  let port = await freePort();
  let end: (() => Promise<void>) | undefined;
  const start = async (): Promise<void> => {
    const args = program.args({ port, ...folders });
    end = program.inetd ? await inetd(program.program, args, port) : await serving(program.program, args, port);
  };
  const stop = async (): Promise<void> => {
    await end?.();
    end = undefined;
  };
  t.after(stop);
  for (let attempt = 1; ; attempt++) {
    try {
      await start();
      break;
    } catch (error) {
      // Somebody else may have taken the port meanwhile.
      if (attempt === 5) throw error;
      port = await freePort();
    }
  }
  return { port, start, stop };
}

/** @returns what ends it. Rejects when it ends by itself. */
async function serving(program: string, args: readonly string[], port: number): Promise<() => Promise<void>> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let noise = '';
  child.stderr.on('data', (bytes: Buffer) => {
    noise = (noise + bytes.toString()).slice(-2000);
  });
  const exited = once(child, 'exit');
  const end = async (): Promise<void> => {
    if (!hasEnded(child)) child.kill('SIGKILL');
    await exited;
  };
  try {
    await until(`${program} listens`, async () => hasEnded(child) || (await accepts(port)));
  } catch (error) {
    await end();
    throw error;
  }
  if (hasEnded(child)) throw new Error(`${program} does not start: ${noise}`);
  return end;
}

/** Starts the program for each connection, as inetd does. @returns what ends it */
async function inetd(program: string, args: readonly string[], port: number): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      child.kill('SIGKILL');
    });
    child.stdin.on('error', () => undefined);
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
}

function record(client: Socket, port: number): Said {
  const said = { request: '', answer: '' };
  const upstream = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  for (const [from, to, what] of [
    [client, upstream, 'request'],
    [upstream, client, 'answer'],
  ] as const) {
    from.on('error', () => undefined);
    from.on('data', (bytes: Buffer) => {
      if (said[what].length < MOST_REMEMBERED) said[what] += bytes.toString('latin1', 0, MOST_REMEMBERED);
    });
    from.pipe(to);
  }
  client.on('close', () => upstream.destroy());
  upstream.on('close', () => client.end());
  return said;
}

/** The whole of one connection as requests with their answers: those that have one. */
function exchanges({ request, answer }: Said): readonly Said[] {
  const requests = request.split(/(?=^(?:GET|POST) \S+ HTTP\/1\.1\r$)/m);
  return answer
    .split(/(?=^HTTP\/1\.[01] \d)/m)
    .filter((text) => text.includes('\r\n\r\n'))
    .map((text, at) => ({ request: requests[at] ?? '', answer: text }));
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
