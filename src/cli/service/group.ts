/** The group that the packaged service runs as: what it is to read belongs to that. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { findUser } from '../../process/confinement/accounts.ts';
import { configOf, readUnit, userOf, wordsOf } from './unit.ts';

export interface ServiceGroup {
  readonly name: string;
  readonly id: number;
}

/** The group of the service whose configuration lies in `folder` or above it; undefined where there is none, or it is root's. */
export function serviceGroup(folder: string, root = '/'): ServiceGroup | undefined {
  const unit = readUnit(root);
  const config = unit === undefined ? undefined : configOf(unit);
  if (unit === undefined || config === undefined || !`${resolve(folder)}/`.startsWith(`${dirname(config)}/`))
    return undefined;
  const groups = readFileSync(resolve(root, 'etc/group'), 'utf8');
  const user = findUser(readFileSync(resolve(root, 'etc/passwd'), 'utf8'), userOf(unit));
  const wanted = wordsOf(unit, 'Group').at(-1) ?? String(user?.group ?? '');
  for (const line of groups.split('\n')) {
    const [name = '', , id = ''] = line.split(':');
    if ((name === wanted || id === wanted) && Number(id) > 0) return { name, id: Number(id) };
  }
  return undefined;
}
