/**
 * The calls of the C library that Node has no functions for and that a connection needs on its way to an engine: accepting it, looking at
 * bytes without taking them, a second descriptor of one connection, addresses, socket options. Constants are those of Linux on x64, arm64 and arm.
 */
import { addressText } from '../net/address.ts';
import { fileSender } from './file-sender.ts';

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const IPPROTO_TCP = 6;
const TCP_CORK = 3;
const TCP_DEFER_ACCEPT = 9;
const F_DUPFD_CLOEXEC = 1030;
const MSG_PEEK = 0x02;
const MSG_DONTWAIT = 0x40;
const EAGAIN = 11;
const EINTR = 4;
/** sockaddr_storage. */
const ADDRESS_BYTES = 128;
/** The first that a second descriptor may have: 0 to 2 are never connections. */
const FIRST = 3;

/** The part of koffi's bare add-on that is used here. */
interface Koffi {
  load(library: string): { func(prototype: string): unknown };
  errno(): number;
  address(buffer: Buffer): number | bigint;
  sizeof(type: string): number;
}

/** What `peek` answers when nothing has come yet. */
export const NOTHING_YET = -1;
/** What `peek` answers when the connection is broken. */
export const BROKEN = -2;

/** One end of a connection over TCP. */
export interface SocketAddress {
  /** In the form of `net/address.ts`. */
  readonly address: string;
  readonly port: number;
}

export interface Descriptors {
  /** Where `peek` puts what it sees. Overwritten by the next one. */
  readonly seen: Buffer;
  /** How many bytes have come, at most as many as `seen` holds; 0 when the other side has shut its sending side before any; or a constant above. Takes nothing. */
  peek(descriptor: number): number;
  /** A second descriptor of the same connection, close-on-exec; -1 when there is none to be had. */
  duplicate(descriptor: number): number;
  /** The next connection of a listening socket, close-on-exec and not blocking; -1 when there is none, or no descriptor for it. */
  accept(listening: number): number;
  /** The other end of a TCP connection; undefined when the descriptor is none, or not connected any more. */
  peerOf(descriptor: number): SocketAddress | undefined;
  /** The same, of this end. */
  localOf(descriptor: number): SocketAddress | undefined;
  close(descriptor: number): void;
  /** Gives bytes of a file to a connection, as many as that takes at once; see `fileSender`. Waits for nothing. */
  sendFile(connection: number, file: number, position: number, length: number): number;
  /** A connection is accepted only once its first bytes are there, or after so many seconds; 0: at once (TCP_DEFER_ACCEPT, tcp(7)). */
  deferAccept(listening: number, seconds: number): void;
  /** Of a connection on which no more than this has come yet, or of all that a listening socket accepts. Bytes; the kernel doubles it. */
  limitReceiveBuffer(descriptor: number, bytes: number): void;
  /** What is written from now on waits, and goes out together when that is over (TCP_CORK, tcp(7)). What is no TCP connection is left as it is. */
  gather(descriptor: number, begins: boolean): void;
  /** Two descriptors that are connected with each other; undefined when there are none to be had. */
  pair(): readonly [number, number] | undefined;
}

/**
 * @param addon koffi's exports (`loadKoffi`)
 * @param most bytes that `peek` can see
 * Throws with the reason where the C library is another.
 */
export function openDescriptors(addon: unknown, most: number): Descriptors {
  const koffi = addon as Koffi;
  const library = koffi.load('libc.so.6');
  const recv = library.func('intptr_t recv(int, void *, size_t, int)') as (
    descriptor: number,
    into: Buffer,
    most: number,
    flags: number,
  ) => number;
  const fcntl = library.func('int fcntl(int, int, int)') as (descriptor: number, what: number, value: number) => number;
  type AddressCall = (descriptor: number, address: Buffer, length: Int32Array) => number;
  const getpeername = library.func('int getpeername(int, void *, void *)') as AddressCall;
  const getsockname = library.func('int getsockname(int, void *, void *)') as AddressCall;
  const accept4 = library.func('int accept4(int, void *, void *, int)') as (
    listening: number,
    address: null,
    length: null,
    flags: number,
  ) => number;
  const closeDescriptor = library.func('int close(int)') as (descriptor: number) => number;
  const setsockopt = library.func('int setsockopt(int, int, int, void *, unsigned int)') as (
    descriptor: number,
    level: number,
    option: number,
    value: Int32Array,
    length: number,
  ) => number;
  const socketpair = library.func('int socketpair(int, int, int, void *)') as (
    family: number,
    type: number,
    protocol: number,
    two: Int32Array,
  ) => number;
  const seen = Buffer.alloc(most);
  const address = Buffer.alloc(ADDRESS_BYTES);
  const length = new Int32Array(1);
  let send: ReturnType<typeof fileSender> | undefined;
  const set = (descriptor: number, level: number, option: number, value: number): void => {
    setsockopt(descriptor, level, option, Int32Array.of(value), 4);
  };
  const addressBy = (call: AddressCall, descriptor: number): SocketAddress | undefined => {
    length[0] = ADDRESS_BYTES;
    if (call(descriptor, address, length) !== 0) return undefined;
    const family = address.readUInt16LE(0);
    if (family !== AF_INET && family !== AF_INET6) return undefined;
    // In both families the port stands behind the family, in network order; the address is behind that, or behind the flow information (ip(7), ipv6(7)).
    const bytes = family === AF_INET ? address.subarray(4, 8) : address.subarray(8, 24);
    return { address: addressText(bytes), port: address.readUInt16BE(2) };
  };
  return {
    seen,
    peek(descriptor) {
      const count = Number(recv(descriptor, seen, most, MSG_PEEK | MSG_DONTWAIT));
      if (count >= 0) return count;
      const error = koffi.errno();
      return error === EAGAIN || error === EINTR ? NOTHING_YET : BROKEN;
    },
    duplicate: (descriptor) => fcntl(descriptor, F_DUPFD_CLOEXEC, FIRST),
    accept: (listening) => accept4(listening, null, null, SOCK_CLOEXEC_NONBLOCK),
    peerOf: (descriptor) => addressBy(getpeername, descriptor),
    localOf: (descriptor) => addressBy(getsockname, descriptor),
    close: (descriptor) => void closeDescriptor(descriptor),
    sendFile(connection, file, position, length) {
      // Not before the first large file: each declaration is work at the start.
      send ??= fileSender(koffi, library);
      return send(connection, file, position, length);
    },
    deferAccept: (listening, seconds) => set(listening, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds),
    limitReceiveBuffer: (descriptor, bytes) => set(descriptor, SOL_SOCKET, SO_RCVBUF, bytes),
    gather: (descriptor, begins) => set(descriptor, IPPROTO_TCP, TCP_CORK, begins ? 1 : 0),
    pair() {
      const two = new Int32Array(2);
      const [one = -1, other = -1] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC_NONBLOCK, 0, two) === 0 ? two : [];
      return one < 0 ? undefined : [one, other];
    },
  };
}
