/** Programs of streams that hold their output back: each is run for a moment, with a pipe and then with its lines let through. */
import { type ChildProcess, spawn } from 'node:child_process';
import { everyRoute } from '../../../gateway/config.ts';
import type { Finding, Patient } from '../finding.ts';

/** How long a program may say nothing, milliseconds. */
const PATIENCE = 3000;

interface StreamProgram {
  readonly about: string;
  readonly command: readonly string[];
  readonly directory: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

export async function probePrograms({ config }: Pick<Patient, 'config'>): Promise<readonly Finding[]> {
  const programs = everyRoute(config).flatMap(({ kind, key, route }): readonly StreamProgram[] => {
    const [command, directory, env, unbuffer]: unknown[] = ['command', 'directory', 'env', 'unbuffer'].map((name) =>
      Reflect.get(route, name),
    );
    if (kind.name !== 'stream' || !Array.isArray(command) || unbuffer === true) return [];
    return [
      {
        about: `stream."${key}".command`,
        command: command.map(String),
        directory: typeof directory === 'string' ? directory : undefined,
        env: { ...process.env, ...(env instanceof Map ? Object.fromEntries(env) : {}) },
      },
    ];
  });
  const found = await Promise.all(programs.map((program) => probe(program)));
  return found.flat();
}

async function probe(program: StreamProgram): Promise<readonly Finding[]> {
  if ((await saysAnything(program, program.command, {})) !== 'nothing') return [];
  const through = await saysAnything(program, ['stdbuf', '-oL', ...program.command], { PYTHONUNBUFFERED: '1' });
  if (through !== 'something') return [];
  return [
    {
      level: 'warning',
      about: program.about,
      seen: `it prints nothing into a pipe within ${PATIENCE / 1000} s, and at once when its lines are let through`,
      matters:
        'viewers see its lines late, in blocks of 4 KiB: the C library and Python hold output back where there is no terminal',
      remedy:
        'set unbuffer = true for the stream, or start it with "stdbuf -oL" ("python3 -u" for Python), or have it flush each line',
    },
  ];
}

type Said = 'something' | 'nothing' | 'cannot run';

function saysAnything(
  { directory, env }: StreamProgram,
  [file = '', ...rest]: readonly string[],
  more: NodeJS.ProcessEnv,
): Promise<Said> {
  return new Promise((resolve) => {
    const child = spawn(file, rest, {
      ...(directory === undefined ? {} : { cwd: directory }),
      env: { ...env, ...more },
      stdio: ['pipe', 'pipe', 'ignore'],
      // A group of its own, so that all of it can be ended.
      detached: true,
    });
    const timer = setTimeout(() => done('nothing'), PATIENCE);
    const done = (said: Said): void => {
      clearTimeout(timer);
      end(child);
      resolve(said);
    };
    child.once('error', () => done('cannot run'));
    child.stdin.on('error', () => undefined);
    child.stdout.once('data', () => done('something'));
    // One that ends by itself without a word holds nothing back.
    child.once('exit', () => setTimeout(() => done('cannot run'), 50));
  });
}

function end({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
