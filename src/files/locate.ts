/**
 * Containment: from decoded segments and a root to what lies there, or a refusal. Everything that serves files or starts
 * programs by a request's path comes through here, and every doubt is a refusal:
 *
 * - a name that starts with a dot is 404, so that `.git` and `.htpasswd` stay private; `.well-known` (RFC 8615) is not;
 * - the path is opened with O_PATH, which touches nothing (no FIFO waits, no device wakes up), and asked of the kernel where
 *   it really is; only below the root's own real path does it count. What is read later is read through that same
 *   descriptor, so that a link swapped meanwhile changes nothing;
 * - what leaves the root is 404, the same as what is not there.
 *
 * /proc is needed; without it every request is an error, and the log says so.
 */
import { type BigIntStats, close, constants, fstat, open, readlink, realpath } from 'node:fs';
import { sep } from 'node:path';
import { promisify } from 'node:util';
import { missingProc } from '../ops/system/proc.ts';
import { FileRefusal } from './segments.ts';

const opened = promisify(open);
const closed = promisify(close);
const linkTarget = promisify(readlink);
const realPath = promisify(realpath.native);
const facts: (descriptor: number, options: { bigint: true }) => Promise<BigIntStats> = promisify(fstat);

/** open(2)'s O_PATH, which node:fs does not name; the same number on every architecture that Node runs on under Linux. */
const O_PATH = 0o10000000;
const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = constants;

/** A file or folder below the root, held by a descriptor that can only be asked and reopened. */
export interface PathHandle {
  readonly kind: 'file' | 'folder';
  /** Where it was looked for: the root as configured and the segments. */
  readonly path: string;
  readonly stats: BigIntStats;
  /** A path that leads to this very file or folder until it is released. */
  readonly handle: string;
  /** Opens this very file for reading, whatever lies at `path` by now; the descriptor is the caller's to close. */
  open(): Promise<number>;
  /** Lets go of it. To be called exactly once. */
  release(): Promise<void>;
}

/** Whether a real path is the root or below it. Both absolute and without a slash at the end (but for "/" itself). */
export function isWithin(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

/** Whether a segment is the name of something hidden. */
export function isHidden(segment: string): boolean {
  return segment.startsWith('.') && segment !== '.well-known';
}

/**
 * What lies at `segments` below `root`; empty segments count for nothing. Throws `FileRefusal`: 404 for what is hidden, not there,
 * outside or neither file nor folder, 403 for what the system does not let us see. Other errors (EMFILE, EIO …) pass through.
 */
export async function locate(root: string, segments: readonly string[]): Promise<PathHandle> {
  let path = root;
  for (const segment of segments) {
    if (segment === '') continue;
    // Segments come from segmentsOf, which lets none of these through; this is the second lock on the door.
    if (segment === '..' || segment.includes(sep) || segment.includes('\0'))
      throw new FileRefusal(404, 'not a file name');
    if (isHidden(segment)) throw new FileRefusal(404, 'a hidden file');
    path += path.endsWith(sep) ? segment : sep + segment;
  }
  const descriptor = await opened(path, O_PATH).catch(refuse);
  const handle = `/proc/self/fd/${descriptor}`;
  try {
    const [base, real, stats] = await Promise.all([
      realPath(root),
      linkTarget(handle),
      facts(descriptor, { bigint: true }),
    ]);
    if (!isWithin(base, real)) throw new FileRefusal(404, 'a link leads outside the root');
    const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : undefined;
    if (kind === undefined) throw new FileRefusal(404, 'neither a file nor a folder');
    return {
      kind,
      path,
      stats,
      handle,
      open: () => opened(handle, O_RDONLY | O_NONBLOCK | O_NOCTTY).catch(refuse),
      release: () => closed(descriptor),
    };
  } catch (error) {
    await closed(descriptor);
    const missing = error instanceof FileRefusal ? undefined : missingProc();
    throw missing === undefined ? error : new Error(missing, { cause: error });
  }
}

/** A program and how the path divides at it. */
export interface ScriptLocation {
  /** Where it is: the root as configured and the script's segments. */
  readonly file: string;
  /** The segments up to and with the script. */
  readonly script: readonly string[];
  /** PATH_INFO: what follows the script, with its leading slash; "" when nothing does. */
  readonly pathInfo: string;
}

/**
 * The first file on the way of `segments` below `root`: a CGI script; the rest is PATH_INFO, in which names may start with a
 * dot and empty segments are kept. Undefined when the whole path is a folder. Throws `FileRefusal` as `locate` does.
 */
export async function locateProgram(root: string, segments: readonly string[]): Promise<ScriptLocation | undefined> {
  for (const [index, segment] of segments.entries()) {
    if (segment === '') continue;
    const script = segments.slice(0, index + 1);
    const found = await locate(root, script);
    await found.release();
    if (found.kind === 'folder') continue;
    const rest = segments.slice(index + 1);
    return { file: found.path, script, pathInfo: rest.length === 0 ? '' : `/${rest.join('/')}` };
  }
  return undefined;
}

/** What the system said of a path, as a `FileRefusal` where it is about the path. */
export function refuse(error: NodeJS.ErrnoException): never {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ENAMETOOLONG':
    case 'ELOOP':
      throw new FileRefusal(404, 'no such file or folder', { cause: error });
    case 'EACCES':
    case 'EPERM':
      throw new FileRefusal(403, 'the gateway has no permission to open it', { cause: error });
    default:
      throw error;
  }
}
