/** The unit that starts the gateway: as which user and group it runs, and what it sees of the file system (systemd.exec(5)). */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { DiskFailure } from '../config/disk/disk.ts';
import { findUser } from '../process/confinement/accounts.ts';

export const UNIT = 'runnel.service';

/** Where systemd looks for units, the most important first (systemd.unit(5)). */
const FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
] as const;

/** The values of each setting of `[Service]`, in order; an empty one has taken back those before it. */
export type ServiceSettings = ReadonlyMap<string, readonly string[]>;

/** The unit with its drop-ins; undefined where none is installed. `root` is where the file system begins. */
export function readUnit(root = '/'): ServiceSettings | undefined {
  const found = FOLDERS.map((folder) => textOf(join(root, folder, UNIT))).find((text) => text !== undefined);
  if (found === undefined) return undefined;
  const dropIns = new Map<string, string>();
  // Of two drop-ins with one name the more important one holds, and they are read in the order of their names.
  for (const folder of [...FOLDERS].reverse())
    for (const path of filesIn(join(root, folder, `${UNIT}.d`))) dropIns.set(basename(path), path);
  const texts = [...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => textOf(path) ?? '');
  return parseUnit([found, ...texts]);
}

export function parseUnit(texts: readonly string[]): ServiceSettings {
  const settings = new Map<string, readonly string[]>();
  for (const text of texts) {
    let section = '';
    for (const line of text.replaceAll(/\\\n/g, ' ').split('\n')) {
      const header = /^\s*\[(.+)\]\s*$/.exec(line)?.[1];
      if (header !== undefined) section = header;
      const [, name, value] = /^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
      if (section !== 'Service' || name === undefined || value === undefined) continue;
      settings.set(name, value === '' ? [] : [...(settings.get(name) ?? []), value]);
    }
  }
  return settings;
}

/** The configuration that the unit starts the gateway with. */
export function configOf(settings: ServiceSettings): string | undefined {
  const words = (last(settings, 'ExecStart') ?? '').split(/\s+/);
  const at = words.findIndex((word) => word === '-c' || word === '--config');
  return at === -1 ? undefined : words[at + 1];
}

/** The user whose rights the service has: a name or a number. */
export function userOf(settings: ServiceSettings): string {
  return last(settings, 'User') ?? 'root';
}

/** The values of a setting that is a list of words. */
export function wordsOf(settings: ServiceSettings, name: string): readonly string[] {
  return (settings.get(name) ?? []).flatMap((value) => value.split(/\s+/));
}

/** Whether systemd hands the service a credential of this name. */
export function hasCredential(settings: ServiceSettings, name: string): boolean {
  return ['LoadCredential', 'LoadCredentialEncrypted', 'SetCredential', 'SetCredentialEncrypted'].some((setting) =>
    (settings.get(setting) ?? []).some((value) => value.split(':', 1)[0] === name),
  );
}

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

/** The part of the file system that the service does not see, or not as others do. */
export interface Sandbox {
  /** Why the service does not find what lies at a path; undefined when it does. */
  hides(path: string): DiskFailure | undefined;
  /** Why it cannot write there whatever its rights are; undefined when that depends on them. */
  protects(path: string): DiskFailure | undefined;
}

export function sandboxOf(settings: ServiceSettings): Sandbox {
  const given = paths(settings, 'BindPaths', 'BindReadOnlyPaths').map((path) => path.split(':')[1] ?? path);
  const hidden: (readonly [folder: string, because: string])[] = paths(settings, 'InaccessiblePaths').map((path) => [
    path,
    `is not seen by the service (InaccessiblePaths= of ${UNIT})`,
  ]);
  const home = last(settings, 'ProtectHome') ?? 'no';
  if (isOn(home) || home === 'tmpfs')
    for (const folder of ['/home', '/root', '/run/user'])
      hidden.push([
        folder,
        `is below ${folder}, which the service does not see (ProtectHome=${home} of ${UNIT}): move it, for example to /usr/local or /srv, or set ProtectHome=read-only with "systemctl edit runnel"`,
      ]);
  if (isOn(last(settings, 'PrivateTmp')) || isOn(last(settings, 'DynamicUser')))
    for (const folder of ['/tmp', '/var/tmp'])
      hidden.push([
        folder,
        `is below ${folder}, of which the service has its own (PrivateTmp=yes of ${UNIT}): move it, for example to /usr/local, /srv or /var/lib/runnel`,
      ]);
  return {
    hides(path) {
      if (given.some((folder) => isBelow(path, folder))) return undefined;
      const because = hidden.find(([folder]) => isBelow(path, folder))?.[1];
      return because === undefined ? undefined : { failed: 'ENOENT', because };
    },
    protects(path) {
      const setting = readOnlyBy(settings, path);
      if (setting === undefined) return undefined;
      return { failed: 'EROFS', because: `is read-only for the service (${setting} of ${UNIT})` };
    },
  };
}

/** The setting that makes a path read-only. */
function readOnlyBy(settings: ServiceSettings, path: string): string | undefined {
  const own = [
    ...paths(settings, 'ReadWritePaths', 'BindPaths'),
    ...wordsOf(settings, 'StateDirectory').map((name) => `/var/lib/${name}`),
    ...wordsOf(settings, 'RuntimeDirectory').map((name) => `/run/${name}`),
    ...wordsOf(settings, 'CacheDirectory').map((name) => `/var/cache/${name}`),
    ...wordsOf(settings, 'LogsDirectory').map((name) => `/var/log/${name}`),
    ...['/tmp', '/var/tmp', '/dev', '/proc', '/sys'],
  ];
  if (own.some((folder) => isBelow(path, folder))) return undefined;
  const protect = last(settings, 'ProtectSystem') ?? (isOn(last(settings, 'DynamicUser')) ? 'strict' : 'no');
  const folders =
    protect === 'strict'
      ? ['/']
      : protect === 'full'
        ? ['/usr', '/boot', '/efi', '/etc']
        : isOn(protect)
          ? ['/usr', '/boot', '/efi']
          : [];
  if (folders.some((folder) => isBelow(path, folder))) return `ProtectSystem=${protect}`;
  return paths(settings, 'ReadOnlyPaths').some((folder) => isBelow(path, folder)) ? 'ReadOnlyPaths=' : undefined;
}

/** Paths without the signs that may stand before them. */
function paths(settings: ServiceSettings, ...names: readonly string[]): readonly string[] {
  return names.flatMap((name) => wordsOf(settings, name)).map((path) => path.replace(/^[-+]+/, ''));
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && /^(1|yes|true|on|y|t)$/i.test(value);
}

function last(settings: ServiceSettings, name: string): string | undefined {
  return settings.get(name)?.at(-1);
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.conf'))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
