/** A terminal on which the commands of one page are typed, in a clean folder, with ports from the system in place of those on the page. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folderWith } from '../support/gateway.ts';
import { until } from '../support/processes.ts';
import { runnelLines } from './shell.ts';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const SERVERS = ['serve', 'run', 'files', 'websocketd'];
/** The ports of the pages; `runnel run` has the first unless it is told another. */
const PORTS = ['8080', '8443', '8000', '9000', '9180', '1883'];
/** Milliseconds that a command may take which ends by itself. */
const DEADLINE = 60_000;

/** What the pages of one test need beyond what is on them. */
export interface Machine {
  /** Files that the reader has: path from the folder → text. */
  readonly files?: { readonly [path: string]: string | Buffer };
  readonly env?: { readonly [name: string]: string };
  /** Names of machines that are this one, without TLS, at the first port. */
  readonly hosts?: readonly string[];
  /** The routes of a gateway that is there from the beginning. */
  readonly routes?: string;
}

interface Started {
  readonly child: ChildProcess;
  readonly command: string;
  readonly ended: Promise<unknown>;
  out(): string;
  err(): string;
}

/** A command ends by itself with 0; or it is a server, which goes on until the next one; or a reader, which is ended when it has read something. */
export class Terminal {
  private readonly home: string;
  private readonly env: NodeJS.ProcessEnv;
  private place: string;
  private server: Started | undefined;
  private readonly others: Started[] = [];

  private constructor(
    t: TestContext,
    private readonly ports: ReadonlyMap<string, number>,
    private readonly machine: Machine,
  ) {
    const bin = folderWith(t, PROGRAMS(ports.get('8080') ?? 0));
    this.home = folderWith(t, machine.files ?? {});
    this.place = this.home;
    this.env = { ...process.env, ...machine.env, HOME: this.home, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
    t.after(async () => await this.close());
  }

  static async open(t: TestContext, machine: Machine): Promise<Terminal> {
    const ports = new Map<string, number>();
    for (const port of PORTS) ports.set(port, await quietPort());
    const terminal = new Terminal(t, ports, machine);
    if (machine.routes !== undefined) {
      terminal.save('.there.toml', `[[listen]]\naddress = "127.0.0.1:8080"\n${machine.routes}`);
      await terminal.type('runnel serve -c .there.toml');
    }
    return terminal;
  }

  /** Saves a file of the page where the reader is. */
  save(name: string, text: string): void {
    const path = join(this.place, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, this.here(text));
    // So that a page that forgets to say it is found.
    chmodSync(path, 0o644);
  }

  /** Types a command. Fails with what it says where it does not do what its kind does. */
  async type(command: string): Promise<void> {
    const verbs = runnelLines(command).map(([verb = '']) => verb);
    const isServer = verbs.some((verb) => SERVERS.includes(verb)) || command.startsWith('websocketd ');
    if (isServer && !command.includes('--print-config')) await this.serve(command);
    else if (/^python3 -m http\.server\b/.test(command)) await this.background(command, '8000');
    else if (command.includes('connect --listen')) await this.background(command, '1883');
    else if (command.includes('curl -T -')) await this.write(command);
    else if (isReader(command, verbs)) await this.read(command);
    else await this.run(command);
  }

  private async run(command: string): Promise<void> {
    const state = join(this.home, '.place');
    const started = this.start(`${command}\nstatus=$?; pwd >'${state}'; exit $status`);
    const deadline = setTimeout(() => interrupt(started, 'SIGKILL'), DEADLINE);
    await started.ended;
    clearTimeout(deadline);
    assert.equal(started.child.exitCode, 0, this.told(command, started));
    this.place = readFileSync(state, 'utf8').trim();
  }

  private async read(command: string): Promise<void> {
    const started = this.start(command);
    const into = />>?\s*(\S+)\s*$/.exec(command)?.[1];
    const isRead = (): boolean =>
      started.out() !== '' ||
      (into !== undefined && existsSync(join(this.place, into)) && statSync(join(this.place, into)).size > 0);
    await until(`${command} prints something`, () => isRead() || started.child.exitCode !== null);
    await interrupt(started);
    assert.ok(isRead() || started.child.exitCode === 0, this.told(command, started));
  }

  /** What goes on publishing: until the stream has a message more. */
  private async write(command: string): Promise<void> {
    const url = /http:\/\/\S+/.exec(this.here(command))?.[0] ?? '';
    const newest = async (): Promise<string | null> =>
      (await fetch(url, { method: 'HEAD' })).headers.get('last-event-id');
    const before = await newest();
    const started = this.start(command);
    await until(`${command} publishes`, async () => (await newest()) !== before || started.child.exitCode !== null);
    assert.equal(started.child.exitCode, null, this.told(command, started));
    await interrupt(started);
  }

  private async serve(command: string): Promise<void> {
    await this.stopServer();
    const started = this.start(command);
    const isReady = (): boolean => /"message":"ready"|ServeHTTP|Serving/.test(started.out());
    await until(`${command} serves`, () => isReady() || started.child.exitCode !== null);
    assert.equal(started.child.exitCode, null, this.told(command, started));
    this.server = started;
  }

  private async background(command: string, listens: string): Promise<void> {
    const started = this.start(command);
    this.others.push(started);
    const port = Number(this.here(listens));
    await until(`${command} serves`, async () => {
      if (started.child.exitCode !== null) return true;
      const socket = connect(port, '127.0.0.1');
      return await new Promise<boolean>((resolve) => {
        socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
        socket.on('connect', () => socket.destroy());
      });
    });
    assert.equal(started.child.exitCode, null, this.told(command, started));
  }

  /** Ctrl-C. */
  private async stopServer(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server === undefined) return;
    await interrupt(server);
    assert.equal(server.child.exitCode, 0, this.told(server.command, server));
  }

  private async close(): Promise<void> {
    for (const other of this.others) await interrupt(other);
    await this.stopServer();
  }

  private start(command: string): Started {
    const child = spawn('bash', ['-c', this.here(command)], {
      cwd: this.place,
      env: this.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('latin1');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    return { child, command, ended: once(child, 'close'), out: () => out, err: () => err };
  }

  /** A text of the page, with the ports and the machines of this test. */
  private here(text: string): string {
    const [first = ''] = PORTS;
    let here = text;
    for (const host of this.machine.hosts ?? [])
      here = here.replaceAll(new RegExp(`(http|ws)s?://${host}(?=[/"' ])`, 'g'), `$1://127.0.0.1:${first}`);
    for (const [written, port] of this.ports) here = here.replaceAll(new RegExp(`\\b${written}\\b`, 'g'), String(port));
    return here.replaceAll(/(["' ])\/etc\/runnel\//g, `$1${this.home}/etc/runnel/`);
  }

  private told(command: string, { child, out, err }: Started): string {
    return `${command}(status ${child.exitCode}, signal ${child.signalCode})\n${out()}\n${err()}\n${this.server?.out() ?? ''}${this.server?.err() ?? ''}`;
  }
}

/** A free port below those that the system gives to connections, because a page's server takes it only after a while. */
async function quietPort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** A process group as Ctrl-C ends it. */
async function interrupt({ child, ended }: Started, signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) process.kill(-child.pid, signal);
  await ended;
}

function isReader(command: string, verbs: readonly string[]): boolean {
  if (verbs.includes('connect')) return !command.includes('--count');
  return /\bcurl\b.* (-\w*N|--no-buffer)\b/.test(command) && !command.includes('transport=');
}

/** runnel, at the port of the test where none is named; curl, which takes no status of 400 or more for a success, unless it is asked for the status. */
const PROGRAMS = (port: number): { readonly [name: string]: string } => ({
  runnel: `#!/bin/sh
case $1 in
  run | files) verb=$1; shift; exec '${process.execPath}' '${MAIN}' "$verb" -l ${port} "$@" ;;
esac
exec '${process.execPath}' '${MAIN}' "$@"
`,
  websocketd: `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' websocketd "$@"\n`,
  // Not in Debian's smallest systems.
  brotli: '#!/bin/sh\n',
  curl: `#!/bin/sh
for word; do
  [ "$word" != -w ] || exec ${CURL} "$@"
done
exec ${CURL} --fail --silent --show-error "$@"
`,
});

const CURL = existsSync('/usr/bin/curl') ? '/usr/bin/curl' : 'curl';
