/** The keys about programs: what they run as, what they may use, how they are ended. Every kind of route that starts programs has them. */
import { variableName, variableValue } from '../values/names.ts';
import { folder } from '../values/on-disk.ts';
import { duration, integer, logLevel, size, text } from '../values/simple.ts';
import { listOf, mapOf } from '../values/tables.ts';
import { optional, preset, type Values } from '../values/value.ts';

/** What a program may use. By setrlimit(2), so most of them hold for each process by itself. */
export const processLimits = {
  memory: optional(size('1MiB', '1024GiB'), 'Programs: the most memory (address space) of each process.'),
  processes: optional(
    integer({ min: 1, max: 1_000_000 }),
    'Programs: how many processes and threads their user may have in all. Needs user, because it has no effect on root.',
  ),
  open_files: optional(integer({ min: 3, max: 1_000_000 }), 'Programs: how many files each process may have open.'),
  cpu_time: optional(
    duration('1s', '30d'),
    'Programs: processor time of each process, in whole seconds. A process that exceeds it gets the signal XCPU, and KILL a second later.',
  ),
  file_size: optional(size('0B', '1024GiB'), 'Programs: the largest file that they may write.'),
  nice: optional(
    integer({ min: -20, max: 19 }),
    "Programs: added to the gateway's niceness. With 19 all other processes have priority.",
  ),
} as const;

const userName = text('the name or number of a user');
const groupName = text('the name or number of a group');

/** What every route that starts programs has. */
export const programKeys = {
  directory: optional(
    folder,
    'The working directory of the program. The default is the folder of the program for `cgi`, and the folder in which the gateway was started for `stream`. `"."` is the folder of the configuration.',
  ),
  env: preset(
    mapOf(variableValue, variableName, 'environment variables, NAME = "value"'),
    {},
    'Variables that are set for the program.',
  ),
  pass_env: preset(
    listOf(variableName, 'names of environment variables'),
    [],
    'Environment variables of the gateway that the program gets too. Without this key it gets only PATH, LANG, LC_ALL, TZ and those that the route sets.',
  ),
  user: optional(
    userName,
    'The user as whom the programs run: a name or a number of /etc/passwd. The default is the user of the gateway.',
  ),
  group: optional(
    groupName,
    'The group of the programs: a name or a number of /etc/group. The default is the primary group of the user.',
  ),
  stderr_level: optional(
    logLevel,
    'The log level of the lines that the program writes to stderr. The default is "info" for streams and "warn" for CGI.',
  ),
  interrupt_after: preset(
    duration('0ms', '10m'),
    '1s',
    'How long a program may keep running after its client has left and its stdin is closed, before its process group gets INT.',
  ),
  terminate_after: preset(duration('0ms', '10m'), '1s', 'How long after INT the group gets TERM.'),
  kill_after: preset(duration('0ms', '10m'), '3s', 'How long after TERM the group gets KILL.'),
} as const;

/** For the check that asks the system (`checks/programs.ts`). */
export const confinementTypes = {
  user: userName,
  group: groupName,
  limits: processLimits,
} as const;

/** What a program may use; undefined is no limit. */
export type ProcessLimits = Values<typeof processLimits>;

/** What a route that starts programs is told about them. */
export type ProcessConfig = Values<typeof programKeys> & { readonly limits: ProcessLimits };

/** As whom a program runs, and within which limits. What is left out or undefined is as the gateway has it. */
export interface Confinement {
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  readonly limits: Partial<ProcessLimits>;
}

/** Why something cannot be done here. */
export interface Objection {
  /** The key that asks for it, below a route or a listener; `["limits"]` for the limits together. */
  readonly key: readonly [string, ...string[]];
  /** Without a full stop. */
  readonly message: string;
}

/** What speaks against each of them on this machine; who knows that is above this layer. */
export type Objections = (confinement: Confinement) => readonly Objection[];
