/** Writing without waiting for the reader: Node writes to files, pipes and terminals on threads, and one that waits keeps the process from ending. */
import { constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';

/** A descriptor for the same output on which a write that cannot be done now fails with EAGAIN. */
export interface NonblockingOutput {
  readonly descriptor: number;
  /** To be kept as long as the descriptor is used: whoever forgets it closes that. */
  readonly holder: Socket | undefined;
}

export function nonblockingOutput(descriptor: number): NonblockingOutput {
  const stat = fstatSync(descriptor);
  // Opened again it is ours alone: the flag belongs to the open file, and others may have the same one. Not a file, which would lose its position.
  if (stat.isFIFO() || isatty(descriptor)) {
    const again = reopen(descriptor);
    if (again !== undefined) return { descriptor: again, holder: undefined };
  }
  return { descriptor, holder: stat.isFIFO() || stat.isSocket() ? flag(descriptor) : undefined };
}

function reopen(descriptor: number): number | undefined {
  try {
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${descriptor}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    // No /proc, or it is another user's.
    return undefined;
  }
}

/** Node sets the flag on what it makes a socket of. Nothing else is done with it. */
function flag(descriptor: number): Socket | undefined {
  try {
    return new Socket({ fd: descriptor, readable: false, writable: true }).on('error', () => undefined);
  } catch {
    // A kind of socket that Node does not know.
    return undefined;
  }
}
