/**
 * Bytes of a file from the kernel's memory to a connection, without coming here (sendfile(2)). On the event loop's own thread, so only what is in memory
 * already is sent: nothing may wait for a disk here, and the calls need no memory that could be freed while another thread still uses it.
 */

/** Pages are looked at this far from each other: half of what the kernel reads ahead by default, so that none between two that are there is likely to be missing. */
const STRIDE = 64 * 1024;
const RWF_NOWAIT = 8;
const EAGAIN = 11;
const EINTR = 4;

/** What `send` answers when a part of it would have to be read from the disk. */
export const NOT_IN_MEMORY = -1;
/** What `send` answers when this file or this connection cannot be served this way. */
export const CANNOT_SEND = -2;

/** The part of koffi's bare add-on that is used here. */
interface Koffi {
  errno(): number;
  address(buffer: Buffer): number | bigint;
  sizeof(type: string): number;
}

/** The C library, as koffi has loaded it. */
interface Library {
  func(prototype: string): unknown;
}

/** Makes the function that sends. Its answer is how many bytes the connection took, which are fewer than asked for when it takes no more now or the file ends there; or a constant above. */
export function fileSender(
  koffi: Koffi,
  library: Library,
): (connection: number, file: number, position: number, length: number) => number {
  const sendfile = library.func('intptr_t sendfile64(int, int, void *, size_t)') as (
    connection: number,
    file: number,
    offset: Buffer,
    length: number,
  ) => number;
  const preadv2 = library.func('intptr_t preadv64v2(int, void *, int, int64_t, int)') as (
    file: number,
    parts: Buffer,
    count: number,
    position: number,
    flags: number,
  ) => number;
  // All of it is kept: C sees it in place.
  const offset = Buffer.alloc(8);
  const part = oneByte(koffi);

  /** 0 when nothing of it has to be waited for. */
  const missing = (file: number, position: number, length: number): number => {
    const last = position + length - 1;
    for (let at = position; at <= last; at = at === last ? last + 1 : Math.min(at + STRIDE, last)) {
      const count = Number(preadv2(file, part, 1, at, RWF_NOWAIT));
      if (count > 0) continue;
      // 0: the file has become shorter, which whoever reads it finds out.
      return count === 0 || koffi.errno() === EAGAIN ? NOT_IN_MEMORY : CANNOT_SEND;
    }
    return 0;
  };

  return (connection, file, position, length) => {
    const why = missing(file, position, length);
    if (why !== 0) return why;
    offset.writeUInt32LE(position % 2 ** 32, 0);
    offset.writeUInt32LE(Math.floor(position / 2 ** 32), 4);
    const count = Number(sendfile(connection, file, offset, length));
    if (count >= 0) return count;
    const error = koffi.errno();
    return error === EAGAIN || error === EINTR ? 0 : CANNOT_SEND;
  };
}

/** A struct iovec, and behind it the one byte that it means: in one Buffer, so that the byte is there as long as somebody can name it. */
function oneByte(koffi: Koffi): Buffer {
  const word = koffi.sizeof('void *');
  const part = Buffer.alloc(2 * word + 1);
  const address = BigInt(koffi.address(part)) + BigInt(2 * word);
  if (word === 8) part.writeBigUInt64LE(address, 0);
  else part.writeUInt32LE(Number(address), 0);
  part.writeUInt32LE(1, word);
  return part;
}
