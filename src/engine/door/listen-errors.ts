/** What stands in the way of a listener, told apart by the system's error codes. */
import { existsSync, lstatSync, type Stats, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { type ListenAddress, ListenError } from '../engine.ts';

/** sockaddr_un holds 108 bytes with the NUL (unix(7)). */
const MAX_PATH_BYTES = 107;

const SAYINGS: { readonly [code: string]: string } = {
  EADDRINUSE: 'the address is in use by another program',
  EACCES: 'permission denied',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EAFNOSUPPORT: 'this system does not have that kind of address (IPv6 may be switched off)',
  EEXIST: 'another listener uses that socket already',
  ENOTFOUND: 'no such host',
  ENOENT: 'no such directory',
  ENAMETOOLONG: `the path is longer than ${MAX_PATH_BYTES} bytes`,
  ENOTSOCK: 'the file at the path is not a socket, so it is not replaced; remove it or choose another path',
  ERR_SOCKET_BAD_PORT: 'the port must be from 0 to 65535',
};

export function listenError(name: string, error: unknown): ListenError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN';
  return refusal(name, code, error instanceof Error ? error.message : String(error));
}

function refusal(name: string, code: string, otherwise: string): ListenError {
  return new ListenError(name, code, SAYINGS[code] ?? otherwise);
}

/** Throws for a port that does not exist. */
export function checkPort(name: string, address: ListenAddress): void {
  if (address.kind !== 'tcp') return;
  const { port } = address;
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw refusal(name, 'ERR_SOCKET_BAD_PORT', '');
}

/**
 * Makes the path of a Unix socket free: removes a socket that nobody answers on. Rejects when somebody answers, or when there is
 * anything but a socket.
 */
export async function freeUnixPath(name: string, path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw refusal(name, 'ENAMETOOLONG', '');
  let found: Stats | undefined;
  try {
    found = lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw listenError(name, error);
  }
  if (found === undefined) {
    if (!existsSync(dirname(path))) throw refusal(name, 'ENOENT', '');
    return;
  }
  if (!found.isSocket()) throw refusal(name, 'ENOTSOCK', '');
  const code = await connectCode(path);
  if (code === 'ENOENT') return;
  if (code !== 'ECONNREFUSED') throw refusal(name, code === 'EACCES' ? code : 'EADDRINUSE', '');
  try {
    unlinkSync(path);
  } catch (error) {
    throw listenError(name, error);
  }
}

/** Undefined when somebody answers, else the error's code. */
function connectCode(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
}
