/** Programs of streams that hold their output back: each is run for a moment, with a pipe and then with its lines let through. */
import { type ChildProcess, spawn } from 'node:child_process';
import { everyRoute } from '../../../gateway/config.ts';
import { buildEnvironment } from '../../../programs/environment.ts';
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
    const names = ['command', 'directory', 'env', 'unbuffer', 'pass_env'];
    const [command, directory, env, unbuffer, passed]: unknown[] = names.map((name) => Reflect.get(route, name));
    if (kind.name !== 'stream' || !Array.isArray(command) || unbuffer === true) return [];
    return [
      {
        about: `stream."${key}".command`,
        command: command.map(String),
        directory: typeof directory === 'string' ? directory : undefined,
        env: environment(env, passed),
      },
    ];
  });
  const found = await Promise.all(programs.map((program) => probe(program)));
  return found.flat();
}

/** What the gateway gives it. Of a shell it would have more, such as PYTHONUNBUFFERED, which hides what is looked for. */
function environment(env: unknown, passed: unknown): NodeJS.ProcessEnv {
  const { HOME } = process.env;
  const parts = {
    inherited: process.env,
    base: new Map(HOME === undefined ? [] : [['HOME', HOME]]),
    passEnv: Array.isArray(passed) ? passed.map(String) : [],
    env: env instanceof Map ? (env as ReadonlyMap<string, string>) : new Map<string, string>(),
  };
  return Object.fromEntries(buildEnvironment(parts, new Map()));
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
