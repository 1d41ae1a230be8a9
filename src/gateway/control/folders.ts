/** The folders in which a running gateway's control socket may lie, for the gateway that makes it and for whoever looks for it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const NAME = 'runnel';
/** Of a Unix socket's path, bytes. */
export const MAX_PATH = 107;

export interface FolderFacts {
  readonly uid: number;
  readonly env: { readonly [name: string]: string | undefined };
  /** Where the file system begins. */
  readonly root?: string;
}

export interface ControlFolder {
  readonly path: string;
  /** Whether it is made when it is not there. systemd makes its own. */
  readonly make: boolean;
}

/** Where a gateway of this user puts its socket: the first folder that can be had. */
export function ownFolders({ uid, env, root = '/' }: FolderFacts): readonly ControlFolder[] {
  const given = env['RUNTIME_DIRECTORY']?.split(':')[0];
  const session = env['XDG_RUNTIME_DIR'];
  return [
    ...(isAbsolute(given) ? [{ path: given, make: false }] : []),
    // Not the folder that systemd makes for the service and takes away with it.
    ...(uid === 0 ? [{ path: join(root, 'run', `${NAME}-0`), make: true }] : []),
    ...(isAbsolute(session) ? [{ path: join(session, NAME), make: true }] : []),
    { path: join(root, 'tmp', `${NAME}-${uid}`), make: true },
  ];
}

/**
 * Where whoever looks may find one: his own, that of a service, and for root everybody's.
 * @param services Names of the folders below /run that systemd makes for services.
 */
export function searchedFolders(facts: FolderFacts, services: readonly string[] = []): readonly string[] {
  const { uid, root = '/' } = facts;
  const users = join(root, 'run/user');
  const others =
    uid === 0
      ? [
          ...namesIn(users).map((name) => join(users, name, NAME)),
          ...namesIn(join(root, 'tmp')).flatMap((name) =>
            new RegExp(`^${NAME}-\\d+$`).test(name) ? [join(root, 'tmp', name)] : [],
          ),
        ]
      : [join(users, String(uid), NAME)];
  return [
    ...new Set([
      ...ownFolders(facts).map(({ path }) => path),
      ...[NAME, `${NAME}-0`, ...services].map((name) => join(root, 'run', name)),
      ...others,
    ]),
  ];
}

/** "1234.sock" of the process 1234; "1234-1.sock" where that name is taken by a process of another PID namespace. */
export function socketName(pid: number, turn: number): string {
  return turn === 0 ? `${pid}.sock` : `${pid}-${turn}.sock`;
}

/** The process that a socket's name tells of; undefined for another file. */
export function pidOfSocket(name: string): number | undefined {
  const match = /^(\d{1,10})(?:-\d+)?\.sock$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

function isAbsolute(path: string | undefined): path is string {
  return path?.startsWith('/') === true;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
