/**
 * The user as whom `check` checks. The service runs as a user of its own and in a sandbox, so what the person who types the command may read
 * is not what the service may read. Root takes the place of that user and tries; anybody else goes by owners and permissions.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { type Disk, realDisk } from '../../config/disk/disk.ts';
import type { Surroundings } from '../../config/load.ts';
import { DEFAULT_PATH } from '../../ops/system/search-path.ts';
import { thisUser } from '../../ops/system-errors.ts';
import { type Account, findGroup, findUser, groupsOf } from '../../process/confinement/accounts.ts';
import { readSystem, type SystemFacts, type Wrapper } from '../../process/confinement/confine.ts';
import {
  configOf,
  hasCredential,
  readUnit,
  type Sandbox,
  type ServiceSettings,
  sandboxOf,
  UNIT,
  userOf,
  wordsOf,
} from '../service-unit.ts';
import { UsageError } from '../verb.ts';
import { modeDisk, sandboxedDisk } from './user-disk.ts';

/** What the Debian package brings. */
const PACKAGED = { file: '/etc/runnel/runnel.toml', user: 'runnel' } as const;
/** The first of those that systemd gives to services with DynamicUser=. */
const DYNAMIC_USER = 61184;

export interface CheckedUser {
  readonly surroundings: Surroundings;
  readonly system: SystemFacts;
  /** "the user runnel, in the sandbox of runnel.service". */
  readonly name: string;
}

/** Gives this process the rights of that user, where it can take them. Throws a `UsageError` for a user who does not exist. */
export function becomeCheckedUser(file: string, as: string | undefined): CheckedUser {
  const unit = serviceOf(file);
  const isInside = unit !== undefined && runsIn(UNIT);
  const account = accountFor(file, as, unit);
  const groups = account === undefined ? [] : groupIds(account, unit);
  const outside = unit === undefined || isInside ? undefined : unit;
  const disk = diskFor(account, groups, outside);
  const sandbox = outside === undefined ? undefined : sandboxOf(outside);
  const user = account === undefined ? thisUser() : `the user ${account.name ?? account.id}`;
  return {
    surroundings: {
      disk: sandbox === undefined ? disk : sandboxedDisk(disk, sandbox),
      ...(unit === undefined
        ? {}
        : { service: { sameEnvironment: isInside, hasCredential: (name: string) => hasCredential(unit, name) } }),
    },
    system: systemFor(account, outside),
    name: `${user}${place(isInside, sandbox)}`,
  };
}

function place(isInside: boolean, sandbox: Sandbox | undefined): string {
  return isInside || sandbox !== undefined ? `, in the sandbox of ${UNIT}` : '';
}

/** The unit, if it is this file that it starts the gateway with. */
export function serviceOf(file: string): ServiceSettings | undefined {
  const unit = readUnit();
  const config = unit === undefined ? undefined : configOf(unit);
  return config !== undefined && samePath(config, file) ? unit : undefined;
}

function samePath(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return one === other;
  }
}

/** Undefined: the user who runs this command. */
function accountFor(file: string, as: string | undefined, unit: ServiceSettings | undefined): Account | undefined {
  const passwd = textOf('/etc/passwd');
  if (as !== undefined) {
    const account = findUser(passwd, as);
    if (account === undefined) throw new UsageError(`--as ${as}: there is no user "${as}" in /etc/passwd`);
    return account;
  }
  if (unit === undefined) return samePath(PACKAGED.file, file) ? findUser(passwd, PACKAGED.user) : undefined;
  const name = userOf(unit);
  const account = findUser(passwd, name);
  if (account !== undefined) return account;
  if (wordsOf(unit, 'DynamicUser').some((word) => /^(1|yes|true|on)$/i.test(word)))
    return { name, id: DYNAMIC_USER, group: DYNAMIC_USER, home: undefined };
  throw new UsageError(
    `${UNIT} runs the gateway as the user "${name}", who is not in /etc/passwd; choose a user with --as`,
  );
}

/** The primary group first. */
function groupIds(
  { name, id, group = id }: Account,
  unit: ServiceSettings | undefined,
): readonly [number, ...number[]] {
  const file = textOf('/etc/group');
  const own = name === undefined ? [] : groupsOf(file, name);
  const named = (setting: string): readonly number[] =>
    (unit === undefined ? [] : wordsOf(unit, setting)).flatMap((word) => findGroup(file, word) ?? []);
  const [primary = group] = named('Group');
  return [primary, ...own, ...named('SupplementaryGroups')];
}

function diskFor(account: Account | undefined, groups: readonly number[], unit: ServiceSettings | undefined): Disk {
  const path = unit === undefined ? undefined : (pathOf(unit) ?? DEFAULT_PATH);
  if (account === undefined || account.id === process.geteuid?.()) return realDisk(path);
  if (process.geteuid?.() !== 0) return modeDisk(realDisk(path), account, groups);
  try {
    process.setgroups?.([...groups]);
    process.setgid?.(groups[0] ?? account.id);
    process.setuid?.(account.id);
  } catch {
    // A container's root that may not.
    return modeDisk(realDisk(path), account, groups);
  }
  return realDisk(path);
}

/** PATH as the unit sets it. */
function pathOf(unit: ServiceSettings): string | undefined {
  return /(?:^|[\s"'])PATH=([^\s"']+)/.exec((unit.get('Environment') ?? []).join(' '))?.[1];
}

/** Whether this process is one of a unit's: then what it sees is what the service sees. */
function runsIn(unit: string): boolean {
  return textOf('/proc/self/cgroup')
    .split('\n')
    .some((line) => `${line}/`.includes(`/${unit}/`));
}

/** Those that starting programs as others asks for (capabilities(7)). */
const CAPABILITIES: { readonly [name: string]: number } = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_DAC_READ_SEARCH: 2,
  CAP_FOWNER: 3,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_BIND_SERVICE: 10,
  CAP_SYS_NICE: 23,
  CAP_SYS_RESOURCE: 24,
};
const ALL = (1n << 41n) - 1n;

function systemFor(account: Account | undefined, unit: ServiceSettings | undefined): SystemFacts {
  const system = readSystem();
  const user = account?.id ?? system.user;
  if (unit === undefined && user === system.user) return { ...system, attempt: confinementTrial() };
  const capabilities = unit !== undefined ? capabilitiesOf(unit, user) : user === 0 ? ALL : 0n;
  return { ...system, user, capabilities, inherited: capabilities };
}

function capabilitiesOf(unit: ServiceSettings, user: number): bigint {
  const setting = user === 0 ? 'CapabilityBoundingSet' : 'AmbientCapabilities';
  if (!unit.has(setting)) return user === 0 ? ALL : 0n;
  const words = wordsOf(unit, setting);
  const listed = words.reduce((sum, word) => {
    const bit = CAPABILITIES[word.replace('~', '')];
    return bit === undefined ? sum : sum | (1n << BigInt(bit));
  }, 0n);
  return words[0]?.startsWith('~') === true ? ALL & ~listed : listed;
}

/**
 * Whether programs can be another user's here, by starting true(1) as they would be started: filters of system calls and security modules
 * refuse what capabilities allow. What it takes is still ambient in a command that only checks, unlike in a gateway that serves. Returns a
 * function that says why not, or undefined; it tries each wrapper once.
 */
function confinementTrial(): (wrapper: Wrapper) => string | undefined {
  const tried = new Map<string, string | undefined>();
  return (wrapper) => {
    const way = JSON.stringify(wrapper);
    if (!tried.has(way)) tried.set(way, attempt(wrapper));
    return tried.get(way);
  };
}

function attempt([file, ...rest]: Wrapper): string | undefined {
  const nothing = readSystem().tool('true');
  if (file === undefined || nothing === undefined) return undefined;
  const { status, stderr, error } = spawnSync(file, [...rest, nothing], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status === 0) return undefined;
  const reason = error?.message ?? (stderr.trim().split('\n')[0] || `status ${status}`);
  return `is refused here: ${reason}; in a unit, SystemCallFilter= must allow @setuid and capset`;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
