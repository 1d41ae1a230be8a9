/** Sockets that systemd has opened for the gateway (sd_listen_fds(3)): descriptors 3 and up, named in the environment. */
import { ListenError } from '../engine.ts';

/** The first descriptor that is handed over. */
const FIRST = 3;

type Environment = { readonly [name: string]: string | undefined };

/**
 * The descriptor that has this name; without names the only one. Throws a `ListenError` when there is none, or more than one, that says what
 * there is.
 */
export function inheritedDescriptor(listener: string, socket: string, environment: Environment): number {
  const { LISTEN_PID: pid, LISTEN_FDS: count = '', LISTEN_FDNAMES: names } = environment;
  const refuse = (detail: string): never => {
    throw new ListenError(listener, 'ENOENT', detail);
  };
  if (pid !== String(process.pid) || !/^[1-9][0-9]{0,3}$/.test(count))
    return refuse('systemd passed no socket; check that the socket unit exists and is started');
  if (names === undefined || names === '') {
    // Not every program that hands sockets over names them (systemd-socket-activate does it with --fdname).
    if (count === '1') return FIRST;
    return refuse(`${count} sockets were passed without names (LISTEN_FDNAMES is not set); give each a name`);
  }
  // Without FileDescriptorName= a socket has the name of its unit.
  const known = Array.from({ length: Number(count) }, (_, index) => names.split(':')[index] || 'unknown');
  const found = known.flatMap((name, index) => (name === socket ? [FIRST + index] : []));
  const [descriptor, second] = found;
  if (descriptor === undefined) {
    const written = [...new Set(known)].map((name) => `"systemd:${name}"`).join(' or ');
    return refuse(`systemd passed ${known.join(', ')}, but no socket of that name; write ${written}`);
  }
  if (second !== undefined)
    return refuse(`systemd passed ${found.length} sockets of that name; give each a name of its own`);
  return descriptor;
}
