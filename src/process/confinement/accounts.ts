/** Users and groups by name, from the files of passwd(5) and group(5). Pure: text in, numbers out. */

import type { Objection } from '../../config/keys/programs.ts';

/** The largest id there is; the one above it means "unchanged" to the kernel. */
const MAX_ID = 0xff_ff_ff_fe;

export interface Account {
  readonly name: string | undefined;
  readonly id: number;
  /** The primary group. */
  readonly group: number | undefined;
  readonly home: string | undefined;
}

/** @param name A name, or a number, which need not be in the file but has a name and a group only if it is. */
export function findUser(passwd: string, name: string): Account | undefined {
  for (const line of passwd.split('\n')) {
    const [user, , id, group, , home] = line.split(':');
    if (id === undefined || group === undefined || (user !== name && id !== name)) continue;
    return { name: user, id: Number(id), group: Number(group), home };
  }
  const id = asId(name);
  return id === undefined ? undefined : { name: undefined, id, group: undefined, home: undefined };
}

/** @param name A name, or a number, which need not be in the file. */
export function findGroup(group: string, name: string): number | undefined {
  for (const line of group.split('\n')) {
    const [known, , id] = line.split(':');
    if (known === name && id !== undefined && id !== '') return Number(id);
  }
  return asId(name);
}

/** The texts of passwd(5) and group(5). */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

/** Whose a file is to be, by numbers; undefined is left as it is. */
export interface FileOwner {
  readonly owner: number | undefined;
  readonly group: number | undefined;
}

/** Whose a file is to be, by names or numbers, or what is wrong with them. */
export function findFileOwner(
  names: { readonly owner?: string | undefined; readonly group?: string | undefined },
  files: AccountFiles,
): FileOwner | { readonly problems: readonly Objection[] } {
  const owner = names.owner === undefined ? undefined : findUser(files.passwd, names.owner)?.id;
  const group = names.group === undefined ? undefined : findGroup(files.group, names.group);
  const problems: Objection[] = [];
  if (names.owner !== undefined && owner === undefined)
    problems.push({ key: ['owner'], message: `there is no user ${JSON.stringify(names.owner)} in /etc/passwd` });
  if (names.group !== undefined && group === undefined)
    problems.push({ key: ['group'], message: `there is no group ${JSON.stringify(names.group)} in /etc/group` });
  return problems.length > 0 ? { problems } : { owner, group };
}

/** The supplementary groups of a user: those that list it as a member. */
export function groupsOf(group: string, user: string): readonly number[] {
  return group.split('\n').flatMap((line) => {
    const [, , id, members] = line.split(':');
    return id !== undefined && members?.split(',').includes(user) ? [Number(id)] : [];
  });
}

function asId(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined;
}
