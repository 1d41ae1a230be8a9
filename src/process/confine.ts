/**
 * Starting a program as another user and with limits: by the small tools that every Debian has (nice, prlimit, setpriv), each of which
 * sets one thing for itself and then becomes the next. So the limits hold before the program's first instruction, and the
 * gateway's own user and limits are never touched. It costs about half a millisecond a start.
 */
import { readFileSync } from 'node:fs';
import { findGroup, findUser, groupsOf } from './accounts.ts';
import { findProgram } from './find-program.ts';

/** What the configuration says; everything may be left out. */
export interface Confinement {
  /** A name or a number. */
  readonly user?: string | undefined;
  /** A name or a number; the user's own group when left out. */
  readonly group?: string | undefined;
  readonly limits: ProcessLimits;
}

export interface ProcessLimits {
  /** Bytes of address space (RLIMIT_AS) of each process. */
  readonly memory?: number | undefined;
  /** Processes and threads of the program's user, in all (RLIMIT_NPROC). Says nothing to root. */
  readonly processes?: number | undefined;
  /** Open files of each process (RLIMIT_NOFILE). */
  readonly openFiles?: number | undefined;
  /** Milliseconds of processor time of each process, rounded up to seconds (RLIMIT_CPU). XCPU then, and KILL a second later. */
  readonly cpuTime?: number | undefined;
  /** Bytes of each file that is written (RLIMIT_FSIZE). */
  readonly fileSize?: number | undefined;
  /** Added to the gateway's own niceness: -20 to 19. */
  readonly nice?: number | undefined;
}

/** What stands before a program's own argument vector. Empty when nothing is asked for. */
export type Wrapper = readonly string[];

/** What the system says; read with `readSystem`. */
export interface SystemFacts {
  readonly passwd: string;
  readonly group: string;
  /** Effective capabilities as a bit set (capabilities(7)). */
  readonly capabilities: bigint;
  /** The file of a tool, or undefined where it is not installed. */
  readonly tool: (name: string) => string | undefined;
}

const CAP_KILL = 1n << 5n;
const CAP_SETGID = 1n << 6n;
const CAP_SETUID = 1n << 7n;
const CAP_SYS_NICE = 1n << 23n;

/** The wrapper, or every reason why it cannot work here: a sentence each, with the configuration's key first. */
export function planConfinement(
  confinement: Confinement,
  system: SystemFacts,
): { readonly wrapper: Wrapper } | { readonly problems: readonly string[] } {
  const problems: string[] = [];
  const wrapper = [
    ...niceArguments(confinement.limits, system, problems),
    ...limitArguments(confinement.limits, system, problems),
    ...userArguments(confinement, system, problems),
  ];
  return problems.length > 0 ? { problems } : { wrapper };
}

/**
 * What to start instead of a program. Its `argv[0]` becomes its path. Whether it can be executed is found out by the last tool only, which
 * then writes the reason to stderr and exits with 126 or 127: so look first (`findProgram`).
 */
export function wrap(
  wrapper: Wrapper,
  file: string,
  argv: readonly [string, ...string[]],
): { readonly file: string; readonly argv: readonly [string, ...string[]] } {
  const [first, ...rest] = wrapper;
  if (first === undefined) return { file, argv };
  return { file: first, argv: [first, ...rest, file, ...argv.slice(1)] };
}

export function readSystem(): SystemFacts {
  const status = readFileSync('/proc/self/status', 'latin1');
  return {
    passwd: readOrEmpty('/etc/passwd'),
    group: readOrEmpty('/etc/group'),
    capabilities: BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`),
    tool: (name) => {
      try {
        return findProgram(name, undefined, '/');
      } catch {
        return undefined;
      }
    },
  };
}

function niceArguments({ nice }: ProcessLimits, system: SystemFacts, problems: string[]): readonly string[] {
  if (nice === undefined) return [];
  if (nice < 0 && !has(system, CAP_SYS_NICE)) {
    problems.push('limits.nice: below 0 needs root or the capability CAP_SYS_NICE');
  }
  return tool('nice', 'limits.nice', system, problems, ['-n', String(nice)]);
}

function limitArguments(limits: ProcessLimits, system: SystemFacts, problems: string[]): readonly string[] {
  const seconds = limits.cpuTime === undefined ? undefined : Math.max(1, Math.ceil(limits.cpuTime / 1000));
  const values: readonly (readonly [option: string, value: string | number | undefined])[] = [
    ['as', limits.memory],
    ['nproc', limits.processes],
    ['nofile', limits.openFiles],
    ['cpu', seconds === undefined ? undefined : `${seconds}:${seconds + 1}`],
    ['fsize', limits.fileSize],
  ];
  const options = values.flatMap(([option, value]) => (value === undefined ? [] : [`--${option}=${value}`]));
  return options.length === 0 ? [] : tool('prlimit', 'limits', system, problems, [...options, '--']);
}

function userArguments({ user, group }: Confinement, system: SystemFacts, problems: string[]): readonly string[] {
  if (user === undefined && group === undefined) return [];
  const account = user === undefined ? undefined : findUser(system.passwd, user);
  if (user !== undefined && account === undefined) problems.push(`user: there is no user ${JSON.stringify(user)} here`);
  const primary = group === undefined ? account?.group : findGroup(system.group, group);
  if (group !== undefined && primary === undefined)
    problems.push(`group: there is no group ${JSON.stringify(group)} here`);
  if (account !== undefined && group === undefined && primary === undefined) {
    problems.push(`user: ${user} is a number without an entry in /etc/passwd, so group has to be set too`);
  }
  // KILL too: a gateway that may not signal its programs could not end them.
  const needed = user === undefined ? CAP_SETGID : CAP_SETUID | CAP_SETGID | CAP_KILL;
  if (!has(system, needed)) {
    problems.push(
      user === undefined
        ? 'group: another group needs root or the capability CAP_SETGID'
        : 'user: another user needs root or the capabilities CAP_SETUID, CAP_SETGID and CAP_KILL',
    );
  }
  const others = account?.name === undefined ? [] : groupsOf(system.group, account.name);
  return tool('setpriv', user === undefined ? 'group' : 'user', system, problems, [
    ...(account === undefined ? [] : [`--reuid=${account.id}`]),
    ...(primary === undefined ? [] : [`--regid=${primary}`]),
    others.length === 0 ? '--clear-groups' : `--groups=${others.join(',')}`,
    // What the gateway may (bind to port 80) is not the program's.
    '--inh-caps=-all',
    '--',
  ]);
}

function tool(
  name: string,
  key: string,
  system: SystemFacts,
  problems: string[],
  options: readonly string[],
): readonly string[] {
  const file = system.tool(name);
  if (file === undefined) {
    problems.push(`${key}: needs the program ${name}, which is not installed here`);
    return [];
  }
  return [file, ...options];
}

function has(system: SystemFacts, capabilities: bigint): boolean {
  return (system.capabilities & capabilities) === capabilities;
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
