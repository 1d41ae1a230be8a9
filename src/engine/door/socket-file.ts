/** The path of a Unix socket: made so that at no moment more people may connect than are to. */
import { chmodSync, chownSync, closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { Server } from 'node:net';
import { systemCode } from '../../ops/system-errors.ts';
import type { SocketFile } from '../engine.ts';

/** Of open(2): a descriptor of the path itself, whatever is there. Node has no name for it; it is the same on all our processors. */
const O_PATH = 0o10000000;
const NOBODY = 0o777;
/** To chown(2): as it is. */
const UNCHANGED = -1;

const NOT_OURS_TO_GIVE =
  'the socket cannot have this owner or group: only root can give it to another user, or to a group that it is not in itself';

/**
 * Listens on `path`, where there is nothing yet. What is asked for by `file` is so before this returns, and until then nobody may connect (but root).
 * Throws the system's error when it cannot be done, and does not listen then; that the system does not let it listen is told by the
 * server, as always.
 *
 * The umask is the whole process's, but Node binds the path before `listen` returns, so it is another one for no longer than that; what another
 * thread makes meanwhile is closed too much, not too little. Rejected: a folder of our own from which the socket is moved. It needs the right to make one,
 * the path in it may be too long for an address, and libuv would remove the path of before when the server is closed.
 */
export function listenOnPath(server: Server, path: string, file: SocketFile): void {
  const { mode, owner, group } = file;
  if (mode === undefined && owner === undefined && group === undefined) {
    server.listen({ path });
    return;
  }
  const umask = process.umask(NOBODY);
  try {
    server.listen({ path });
  } finally {
    process.umask(umask);
  }
  if (!server.listening) return;
  try {
    setFile(path, { mode: mode ?? NOBODY & ~umask, owner, group });
  } catch (error) {
    server.close();
    throw systemCode(error) === 'EPERM' ? Object.assign(new Error(NOT_OURS_TO_GIVE), { code: 'EPERM' }) : error;
  }
}

/** By a descriptor: in a folder of others the path may be another file by now, or a link to one. */
function setFile(path: string, { mode, owner, group }: SocketFile & { readonly mode: number }): void {
  const descriptor = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    if (!fstatSync(descriptor).isSocket()) throw new Error(`another program has replaced ${path}`);
    const same = `/proc/self/fd/${descriptor}`;
    // The owner last: who is not root may set the rest of what is his own only.
    if (group !== undefined) chownSync(same, UNCHANGED, group);
    chmodSync(same, mode);
    if (owner !== undefined) chownSync(same, owner, UNCHANGED);
  } finally {
    closeSync(descriptor);
  }
}
