/** Accepts connections as descriptors: for most of them Node's `Socket` would be made only to be destroyed, which takes longer than all else at the door. */
import type { Server, Socket } from 'node:net';
import type { Descriptors } from '../descriptors.ts';

/**
 * Behind a connection that Node has accepted, so many more are taken at once where they wait already: a call of the C library takes half the time
 * of Node's way. Then others have their turn.
 */
const MOST_AT_ONCE = 64;

/**
 * What may wait to be read of a connection, bytes; the kernel doubles it. uWebSockets.js reads 512 KiB at once, and goes on without asking as long as
 * its reads are full: a body that is held back is read to its end all the same, and over TLS it loses track as soon as something is written
 * meanwhile, and the connection is torn (both measured). With this no read is full.
 */
const RECEIVE_BUFFER = 128 * 1024;

/** What is used of Node's handle of an accepted connection. */
interface Handle {
  readonly fd: number;
  close(): void;
}

export interface Accepting {
  /** The descriptor is the taker's from here on. */
  taken(descriptor: number): void;
  /** There was no second descriptor to be had: the connection is closed. */
  lost(): void;
}

/**
 * From here on connections of a listening server come as descriptors, and no longer as its event "connection". Node has no public way to its
 * handles: where they are not as they are known to be, all stays as it was. Gives what undoes it.
 * @param handedOn the server has listened for another door: what waits in it has come without this one's settings
 */
export function acceptDescriptors(
  server: Server,
  descriptors: Descriptors,
  handedOn: boolean,
  to: Accepting,
): () => void {
  const handle: unknown = Reflect.get(server, '_handle');
  const listening = descriptorOf(server);
  if (typeof handle !== 'object' || handle === null || listening === undefined) return () => {};
  const nodes: unknown = Reflect.get(handle, 'onconnection');
  if (typeof nodes !== 'function') return () => {};
  descriptors.limitReceiveBuffer(listening, RECEIVE_BUFFER);
  const take = (descriptor: number): void => {
    if (handedOn) descriptors.limitReceiveBuffer(descriptor, RECEIVE_BUFFER);
    to.taken(descriptor);
  };
  Reflect.set(handle, 'onconnection', (status: number, accepted: unknown): void => {
    // An error, which is Node's to report.
    if (status !== 0 || !isHandle(accepted)) {
      nodes.call(handle, status, accepted);
      return;
    }
    const descriptor = descriptors.duplicate(accepted.fd);
    accepted.close();
    if (descriptor < 0) to.lost();
    else take(descriptor);
    // It may be closed by what it has just led to, and its number be somebody else's.
    for (let more = 1; more < MOST_AT_ONCE && server.listening; more++) {
      const next = descriptors.accept(listening);
      if (next < 0) return;
      take(next);
    }
  });
  return () => Reflect.set(handle, 'onconnection', nodes);
}

/** Undefined once it is closed. Node has no public way to it. */
export function descriptorOf(owner: Socket | Server): number | undefined {
  const handle: unknown = Reflect.get(owner, '_handle');
  return isHandle(handle) && handle.fd >= 0 ? handle.fd : undefined;
}

function isHandle(value: unknown): value is Handle {
  return typeof value === 'object' && value !== null && 'fd' in value && typeof value.fd === 'number';
}
