/** The keys about programs: what they run as, what they may use, how they are ended. Every kind of route that starts programs has them. */
import { variableName, variableValue } from '../values/names.ts';
import { folder } from '../values/on-disk.ts';
import { duration, integer, size, text } from '../values/simple.ts';
import { listOf, mapOf } from '../values/tables.ts';
import { optional, preset, type Values } from '../values/value.ts';

/** What a program may use. By setrlimit(2), so most of them hold for each process by itself. */
export const processLimits = {
  memory: optional(size('1MiB', '1024GiB'), 'Programs: the most memory (address space) of each process.'),
  processes: optional(
    integer({ min: 1, max: 1_000_000 }),
    'Programs: how many processes and threads their user may have in all. Needs user, since it does not hold for root.',
  ),
  open_files: optional(integer({ min: 3, max: 1_000_000 }), 'Programs: how many files each process may have open.'),
  cpu_time: optional(
    duration('1s', '30d'),
    'Programs: processor time of each process, in whole seconds. One that has used it up gets XCPU, and KILL a second later.',
  ),
  file_size: optional(size('0B', '1024GiB'), 'Programs: the largest file that they may write.'),
  nice: optional(
    integer({ min: -20, max: 19 }),
    "Programs: added to the gateway's niceness; 19 lets everything else go first.",
  ),
} as const;

const userName = text('the name or number of a user');
const groupName = text('the name or number of a group');

/** What every route that starts programs has. */
export const programKeys = {
  directory: optional(folder, 'The working directory of the program.'),
  env: preset(
    mapOf(variableValue, variableName, 'environment variables, NAME = "value"'),
    {},
    'Variables that are set for the program.',
  ),
  pass_env: preset(
    listOf(variableName, 'names of environment variables'),
    [],
    'Variables of the gateway that the program gets too. Without this it gets only PATH, LANG, LC_ALL, TZ and what the route sets.',
  ),
  user: optional(
    userName,
    "Whose programs these are: a name or a number of /etc/passwd. Without it they are the gateway's user's.",
  ),
  group: optional(groupName, "The group of the programs: a name or a number of /etc/group. Without it the user's own."),
  interrupt_after: preset(
    duration('0ms', '10m'),
    '1s',
    'How long a program whose client has left may go on after its stdin was closed, before its process group gets INT.',
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
  /** The key that asks for it, below a route; `["limits"]` for the limits together. */
  readonly key: readonly [string, ...string[]];
  /** Without a full stop. */
  readonly message: string;
}

/** What speaks against each of them on this machine; who knows that is above this layer. */
export type Objections = (confinement: Confinement) => readonly Objection[];
