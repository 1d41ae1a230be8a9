/** Users and groups by name, from the files of passwd(5) and group(5). Pure: text in, numbers out. */

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
