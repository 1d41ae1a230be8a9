/** What the kernel says about mounted file systems: whether a folder may hold code that runs. */
import { readFileSync } from 'node:fs';

export interface Mount {
  /** The folder it is mounted on. */
  readonly point: string;
  readonly options: ReadonlySet<string>;
}

/** The mounts as this process sees them; empty where /proc is not mounted. */
export function readMounts(): readonly Mount[] {
  try {
    return parseMounts(readFileSync('/proc/self/mounts', 'utf8'));
  } catch {
    // Not knowing is allowed: then trying tells.
    return [];
  }
}

/** Takes the text of /proc/self/mounts (fstab(5): space, tab, newline and backslash in a field are octal escapes). */
export function parseMounts(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const [, point, , options] = line.split(' ');
    if (point === undefined || options === undefined) continue;
    mounts.push({ point: unescapeOctal(point), options: new Set(options.split(',')) });
  }
  return mounts;
}

/** The escapes stand for bytes, so a name beyond ASCII comes back through its UTF-8. */
function unescapeOctal(field: string): string {
  if (!field.includes('\\')) return field;
  const bytes = Buffer.from(field).toString('latin1');
  const plain = bytes.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
  return Buffer.from(plain, 'latin1').toString();
}

/** The mount that holds `path` (absolute, without links): the longest that contains it, and of equal ones the last, which lies on top. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const below = mount.point === '/' ? '/' : `${mount.point}/`;
    if (path !== mount.point && !path.startsWith(below)) continue;
    if (found === undefined || mount.point.length >= found.point.length) found = mount;
  }
  return found;
}

/** Why a file in `directory` could not be written and then run: "read-only" or "noexec"; undefined when nothing speaks against it. */
export function refusesCode(mounts: readonly Mount[], directory: string): string | undefined {
  const options = mountOf(mounts, directory)?.options;
  if (options?.has('ro')) return 'read-only';
  if (options?.has('noexec')) return 'noexec';
  return undefined;
}
