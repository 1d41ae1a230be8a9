/** Datagrams to a Unix socket, which Node has no way to send: through the C library, by the FFI add-on (`ops/addons/addon.ts` loads it). */

export interface DatagramSocket {
  /** Sends `text` as one datagram. Answers false when it was not taken. A socket that takes nothing more does not hold anybody up. */
  send(text: string): boolean;
}

/** The little of the add-on that is used here. */
interface ForeignFunctions {
  load(library: string): { func(prototype: string): unknown };
}

/** AF_UNIX, and SOCK_DGRAM with SOCK_NONBLOCK and SOCK_CLOEXEC: the same on x64, arm64 and arm. */
const AF_UNIX = 1;
const DATAGRAM = 2 | 0o4000 | 0o2000000;
const MSG_NOSIGNAL = 0x4000;

/**
 * @param addon the FFI add-on's exports
 * @param path of the socket; one that starts with "@" is in Linux's abstract namespace (unix(7)). It is looked up for each datagram. Throws
 * where FFI does not work.
 */
export function datagramSocket(addon: unknown, path: string): DatagramSocket {
  const library = (addon as ForeignFunctions).load('libc.so.6');
  // The prototypes are what counts; the types only repeat them.
  const socket = library.func('int socket(int family, int type, int protocol)') as (...numbers: number[]) => number;
  const sendto = library.func(
    'intptr_t sendto(int fd, void *bytes, size_t length, int flags, void *address, uint32_t size)',
  ) as (fd: number, bytes: Buffer, length: number, flags: number, address: Buffer, size: number) => number;
  const address = socketAddress(path);
  const descriptor = socket(AF_UNIX, DATAGRAM, 0);
  if (descriptor < 0) throw new Error('the system refused a Unix socket');
  return {
    send(text) {
      const bytes = Buffer.from(text);
      return Number(sendto(descriptor, bytes, bytes.length, MSG_NOSIGNAL, address, address.length)) === bytes.length;
    },
  };
}

/** struct sockaddr_un: the family as a 16-bit number, then the path. An abstract name starts with NUL and ends with the structure. */
function socketAddress(path: string): Buffer {
  const abstract = path.startsWith('@');
  const name = Buffer.from(abstract ? `\0${path.slice(1)}` : `${path}\0`);
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  return address;
}
