/** A connection for which the kernel keeps some tens of kilobytes: who does not read it is soon seen to be slow, where it would else be megabytes. */
import { Socket } from 'node:net';
import { endianness } from 'node:os';
import koffi from 'koffi';

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const IPPROTO_TCP = 6;
const TCP_MAXSEG = 2;
/** The kernel's own least. */
const RECEIVE_BYTES = 2304;
const SEGMENT_BYTES = 536;

type Call = (...args: unknown[]) => number;

/** To a port of 127.0.0.1; connected when it returns. */
export function narrowSocket(port: number): Socket {
  const libc = koffi.load('libc.so.6');
  const call = (declaration: string): Call => libc.func(declaration);
  const open = call('int socket(int, int, int)');
  const set = call('int setsockopt(int, int, int, void *, uint32_t)');
  const connect = call('int connect(int, void *, uint32_t)');
  const fd = open(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // Both count for the handshake.
  for (const [level, name, value] of [
    [SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES],
    [IPPROTO_TCP, TCP_MAXSEG, SEGMENT_BYTES],
  ] as const)
    if (set(fd, level, name, Int32Array.of(value), 4) !== 0) throw new Error(`setsockopt ${name} failed`);
  const address = Buffer.alloc(16);
  if (endianness() === 'LE') address.writeUInt16LE(AF_INET, 0);
  else address.writeUInt16BE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  if (connect(fd, address, address.length) !== 0) throw new Error(`connect to port ${port} failed`);
  return new Socket({ fd, readable: true, writable: true });
}
