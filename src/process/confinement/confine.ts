/**
 * Starting a program as another user and with limits: by the small tools that every Debian has (nice, prlimit, setpriv), each of which
 * sets one thing for itself and then becomes the next. So the limits hold before the program's first instruction, and the
 * gateway's own user and limits are never touched. It costs about half a millisecond a start.
 */
import { readFileSync } from 'node:fs';

import type { Confinement, Objection, ProcessLimits } from '../../config/keys/programs.ts';
import { findProgram } from '../find-program.ts';
import { type Account, findGroup, findUser, groupsOf } from './accounts.ts';

/** What stands before a program's own argument vector. Empty when nothing is asked for. */
export type Wrapper = readonly string[];

/** What the system says; read with `readSystem`. */
export interface SystemFacts {
  readonly passwd: string;
  readonly group: string;
  /** The gateway's own effective user. */
  readonly user: number;
  /** Effective capabilities as a bit set (capabilities(7)). */
  readonly capabilities: bigint;
  /** Those that a tool can have that the gateway starts: root's come with its user, another user's must be inheritable. */
  readonly inherited: bigint;
  /** Tries such a wrapper and says what was wrong; where it is there, what is tried here holds for the gateway. */
  readonly attempt?: (wrapper: Wrapper) => string | undefined;
  /** The file of a tool, or undefined where it is not installed. */
  readonly tool: (name: string) => string | undefined;
}

/** How to start a program so that it is confined. */
export interface ConfinementPlan {
  readonly wrapper: Wrapper;
  /** What another user's program is told of its user, unless the route sets it: as su(1) and systemd do. */
  readonly environment: ReadonlyMap<string, string>;
  /** The id of that user; undefined for the gateway's own. */
  readonly user: number | undefined;
  /** What setpriv has to have to do it, by number: it gives them up. Empty where nothing of the kind is asked for. */
  readonly capabilities: readonly number[];
}

/** Numbers of capabilities(7). */
const CAP_KILL = 5;
const CAP_SETGID = 6;
const CAP_SETUID = 7;
const CAP_SYS_NICE = 23;
const ALL = (1n << 64n) - 1n;

/** How to do it, or everything that speaks against it here. */
export function planConfinement(
  confinement: Confinement,
  system: SystemFacts,
): ConfinementPlan | { readonly problems: readonly Objection[] } {
  const problems: Objection[] = [];
  const { limits, user } = confinement;
  const account = user === undefined ? undefined : findUser(system.passwd, user);
  const wrapper = [
    ...niceArguments(limits, system, problems),
    ...limitArguments(limits, system, problems),
    ...userArguments(confinement, account, system, problems),
  ];
  if (limits.processes !== undefined && (account?.id ?? system.user) === 0) {
    problems.push({ key: ['limits', 'processes'], message: 'has no effect on programs of root: set user too' });
  }
  if (problems.length > 0) return { problems };
  const capabilities = neededCapabilities(confinement);
  return { wrapper, environment: identity(account), user: account?.id, capabilities };
}

function neededCapabilities({ user, group }: Confinement): readonly number[] {
  if (user !== undefined) return [CAP_SETUID, CAP_SETGID];
  return group === undefined ? [] : [CAP_SETGID];
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
  const status = readOrEmpty('/proc/self/status');
  const user = process.geteuid?.() ?? 0;
  const set = (name: string): bigint => {
    const digits = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
    // Without /proc: root has all, another user none, as far as anybody knows.
    return digits === undefined ? (user === 0 ? ALL : 0n) : BigInt(`0x${digits}`);
  };
  return {
    user,
    passwd: readOrEmpty('/etc/passwd'),
    group: readOrEmpty('/etc/group'),
    capabilities: set('CapEff'),
    inherited: user === 0 ? set('CapBnd') : set('CapInh') & set('CapPrm'),
    tool: (name) => {
      try {
        return findProgram(name, undefined, '/');
      } catch {
        return undefined;
      }
    },
  };
}

function niceArguments(
  { nice }: Partial<ProcessLimits>,
  system: SystemFacts,
  problems: Objection[],
): readonly string[] {
  if (nice === undefined) return [];
  if (nice < 0 && !has(system.capabilities, [CAP_SYS_NICE])) {
    problems.push({ key: ['limits', 'nice'], message: 'below 0 needs root or the capability CAP_SYS_NICE' });
  }
  return tool('nice', ['limits', 'nice'], system, problems, ['-n', String(nice)]);
}

function limitArguments(limits: Partial<ProcessLimits>, system: SystemFacts, problems: Objection[]): readonly string[] {
  // In milliseconds in the configuration; XCPU at the first, KILL at the second.
  const seconds = limits.cpu_time === undefined ? undefined : Math.max(1, Math.ceil(limits.cpu_time / 1000));
  const values: readonly (readonly [option: string, value: string | number | undefined])[] = [
    ['as', limits.memory],
    ['nproc', limits.processes],
    ['nofile', limits.open_files],
    ['cpu', seconds === undefined ? undefined : `${seconds}:${seconds + 1}`],
    ['fsize', limits.file_size],
  ];
  const options = values.flatMap(([option, value]) => (value === undefined ? [] : [`--${option}=${value}`]));
  return options.length === 0 ? [] : tool('prlimit', ['limits'], system, problems, [...options, '--']);
}

function userArguments(
  { user, group }: Confinement,
  account: Account | undefined,
  system: SystemFacts,
  problems: Objection[],
): readonly string[] {
  if (user === undefined && group === undefined) return [];
  if (user !== undefined && account === undefined)
    problems.push({ key: ['user'], message: `there is no user ${JSON.stringify(user)} in /etc/passwd` });
  const primary = group === undefined ? account?.group : findGroup(system.group, group);
  if (group !== undefined && primary === undefined)
    problems.push({ key: ['group'], message: `there is no group ${JSON.stringify(group)} in /etc/group` });
  if (account !== undefined && group === undefined && primary === undefined) {
    problems.push({ key: ['user'], message: `${user} is a number without an entry in /etc/passwd: set group too` });
  }
  checkRights({ user, group, limits: {} }, system, problems);
  const others = account?.name === undefined ? [] : groupsOf(system.group, account.name);
  return tool('setpriv', [user === undefined ? 'group' : 'user'], system, problems, [
    ...(account === undefined ? [] : [`--reuid=${account.id}`]),
    ...(primary === undefined ? [] : [`--regid=${primary}`]),
    others.length === 0 ? '--clear-groups' : `--groups=${others.join(',')}`,
    // What the gateway may (bind to port 80) is not the program's.
    '--inh-caps=-all',
    '--',
  ]);
}

function checkRights(confinement: Confinement, system: SystemFacts, problems: Objection[]): void {
  const { user } = confinement;
  const key: Objection['key'] = [user === undefined ? 'group' : 'user'];
  const what = user === undefined ? 'another group' : 'another user';
  // KILL too: a gateway that may not signal its programs could not end them.
  const list = user === undefined ? 'capability CAP_SETGID' : 'capabilities CAP_SETUID, CAP_SETGID and CAP_KILL';
  const capabilities = neededCapabilities(confinement);
  if (!has(system.capabilities, user === undefined ? capabilities : [...capabilities, CAP_KILL]))
    problems.push({ key, message: `${what} needs root or the ${list}` });
  else if (!has(system.inherited, capabilities))
    problems.push({
      key,
      message: `${what} needs the ${list} so that setpriv inherits them: set AmbientCapabilities= in the unit, not only the bounding set or those of the file`,
    });
}

function identity(account: Account | undefined): ReadonlyMap<string, string> {
  const { name, home } = account ?? {};
  const known = [
    ['HOME', home],
    ['USER', name],
    ['LOGNAME', name],
  ] as const;
  return new Map(known.flatMap(([variable, value]) => (value === undefined ? [] : [[variable, value]])));
}

function tool(
  name: string,
  key: Objection['key'],
  system: SystemFacts,
  problems: Objection[],
  options: readonly string[],
): readonly string[] {
  const file = system.tool(name);
  if (file === undefined) {
    problems.push({ key, message: `needs the program ${name}, which is not installed here` });
    return [];
  }
  return [file, ...options];
}

function has(set: bigint, capabilities: readonly number[]): boolean {
  return capabilities.every((number) => (set & (1n << BigInt(number))) !== 0n);
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
