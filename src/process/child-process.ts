/**
 * Starts programs with node:child_process: always there, and what runnel falls back to where FFI cannot be loaded. What
 * posix_spawn does better: no fork of the whole gateway for each start, pipes that are pipes (here they are sockets, which
 * `/dev/stdin` and `/dev/stderr` cannot open), no descriptor above 2 inherited from whoever started the gateway, and
 * ENOEXEC as an error (here such a file is run by /bin/sh), and pseudo-terminals.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { openUnnamedFileSync } from '../ops/system/unnamed-file.ts';
import { type Child, type Exit, SpawnError, type Spawner, type SpawnOptions } from './spawn.ts';
import { ProcessGroup } from './termination/group.ts';

export function childProcessSpawner(): Spawner {
  return {
    name: 'child_process',
    guardsPrograms: false,
    terminals: false,
    spawn: start,
    memoryFile,
    close: () => Promise.resolve(),
  };
}

function memoryFile(): number {
  try {
    return openUnnamedFileSync('/dev/shm');
  } catch {
    // Not everywhere is there a file system in memory.
    return openUnnamedFileSync(tmpdir());
  }
}

async function start(options: SpawnOptions): Promise<Child> {
  const process = launch(options);
  const pid = process.pid;
  if (pid === undefined) {
    const [error] = await once(process, 'error');
    throw asSpawnError(options.file, error);
  }
  return child(process, pid);
}

function launch(options: SpawnOptions): ChildProcess {
  const input = options.stdin === 'null' ? 'ignore' : options.stdin;
  const stdio: StdioOptions = [input, 'pipe', options.stderr === 'null' ? 'ignore' : options.stderr];
  const [argv0, ...rest] = options.argv;
  try {
    return spawn(options.file, rest, {
      argv0,
      cwd: options.directory,
      detached: true,
      env: Object.fromEntries(options.env),
      stdio,
    });
  } catch (error) {
    throw asSpawnError(options.file, error);
  }
}

function child(process: ChildProcess, pid: number): Child {
  const { stdin, stdout, stderr } = process;
  if (stdout === null) throw new TypeError('child_process made no pipe for stdout');
  const group = new ProcessGroup(pid);
  // An error reaches whoever wrote through the callback, and everybody through 'close'; without a listener it would end the gateway too.
  for (const stream of [stdin, stdout, stderr]) stream?.on('error', () => undefined);
  // Node would destroy stdin when the leader exits, though its children may still read, and would resume a paused stdout,
  // whoever paused it. Both it does only to streams that it still finds here.
  process.stdin = null;
  process.stdio[1] = null;
  process.stdio[2] = null;
  const exited = new Promise<Exit>((resolve) => {
    process.once('exit', (code, signal) => {
      group.leaderReaped();
      resolve(signal === null ? { code: code ?? 0, signal: undefined } : { code: undefined, signal });
    });
  });
  return {
    pid,
    stdin: stdin ?? undefined,
    stdout,
    stderr: stderr ?? undefined,
    exited,
    signalGroup: (signal) => group.signal(signal),
  };
}

function asSpawnError(file: string, cause: unknown): SpawnError {
  const code = (cause as NodeJS.ErrnoException).code;
  // Node refuses a NUL in any string with its own code.
  return new SpawnError(file, code?.startsWith('ERR_') ? 'EINVAL' : (code ?? 'EIO'), { cause });
}
