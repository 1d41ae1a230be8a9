/** The real gateway as a process of its own, started from a configuration that the test writes, on ports from the system. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const START_DEADLINE = 60_000;

/** One line of the gateway's JSON log. */
export type LogLine = { readonly message: string; readonly level: string; readonly [key: string]: unknown };

export interface Running {
  readonly process: ChildProcess;
  readonly pid: number;
  /** Where it listens, in the configuration's order; the admin listener is the last. */
  readonly ports: readonly number[];
  readonly port: number;
  readonly folder: string;
  readonly log: LogLine[];
  /** What else it has said. */
  noise(): string;
  /** The line that fits, also when it has been written already. */
  logged(fits: (line: LogLine) => boolean): Promise<LogLine>;
  /** Signals it, and resolves with its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** `http://127.0.0.1:PORT` + path. */
  url(path: string): string;
}

export interface Setup {
  readonly config: string;
  /** Files beside the configuration: path → text. Those that begin with "#!" become executable. */
  readonly files?: { readonly [path: string]: string | Buffer };
  readonly env?: NodeJS.ProcessEnv;
  /** What starts the gateway, such as `prlimit --nofile=256`: it must become the gateway's process. */
  readonly launcher?: readonly string[];
}

/** A folder with these files, removed after the test. */
export function folderWith(t: TestContext, files: { readonly [path: string]: string | Buffer }): string {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    if (content.toString('latin1', 0, 2) === '#!' || content.toString().startsWith('#!')) chmodSync(path, 0o755);
  }
  return folder;
}

/** Starts `runnel serve` and waits until it says where it listens. It is ended with the test. */
export async function startGateway(t: TestContext, setup: Setup): Promise<Running> {
  const folder = folderWith(t, { ...setup.files, 'runnel.toml': setup.config });
  return await startRunnel(t, ['serve', '-c', join(folder, 'runnel.toml')], {
    folder,
    env: setup.env,
    launcher: setup.launcher,
  });
}

/** Starts any verb that listens. */
export async function startRunnel(
  t: TestContext,
  args: readonly string[],
  options: {
    readonly folder: string;
    readonly env?: NodeJS.ProcessEnv | undefined;
    readonly launcher?: readonly string[] | undefined;
  },
): Promise<Running> {
  const [program = '', ...rest] = [...(options.launcher ?? []), process.execPath, MAIN, ...args];
  const child = spawn(program, rest, {
    cwd: options.folder,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: LogLine[] = [];
  const watchers = new Set<() => void>();
  let noise = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{')) log.push(JSON.parse(line) as LogLine);
    else noise += `${line}\n`;
    for (const watcher of [...watchers]) watcher();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    noise += chunk.toString();
  });
  const exited = once(child, 'exit').then(([code]: (number | null)[]) => code ?? null);
  void exited.then(() => {
    for (const watcher of [...watchers]) watcher();
  });
  const logged = (fits: (line: LogLine) => boolean): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      const deadline = setTimeout(() => give(new Error('no such log line in time')), START_DEADLINE);
      const give = (error: Error): void => {
        clearTimeout(deadline);
        watchers.delete(look);
        reject(new Error(`${error.message}\n${noise}${log.map((line) => JSON.stringify(line)).join('\n')}`));
      };
      const look = (): void => {
        const line = log.find(fits);
        if (line !== undefined) {
          clearTimeout(deadline);
          watchers.delete(look);
          resolve(line);
        } else if (child.exitCode !== null) give(new Error(`runnel ended with ${child.exitCode}`));
      };
      watchers.add(look);
      look();
    });
  const stop = (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return exited;
  };
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  });
  await logged((line) => line.message === 'ready');
  const ports = log.flatMap((line) => (typeof line['port'] === 'number' ? [line['port']] : []));
  const port = ports[0] ?? 0;
  return {
    process: child,
    pid: child.pid ?? 0,
    ports,
    port,
    folder: options.folder,
    log,
    noise: () => noise,
    logged,
    stop,
    url: (path) => `http://127.0.0.1:${port}${path}`,
  };
}

/** Runs a verb that ends by itself. */
export async function runnel(
  args: readonly string[],
  cwd: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
