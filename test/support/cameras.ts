/** A camera that sends pictures as parts, with the habits of those that are sold. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface CameraHabits {
  /** The lines of the answer, without the empty one. */
  readonly head: readonly string[];
  /** One part, its boundary before it. One character for each byte. */
  readonly part: (picture: string) => string;
  /** How a piece of the body is written: chunked, or as it is. */
  readonly wrap?: (bytes: string) => string;
}

const chunk = (bytes: string): string => `${bytes.length.toString(16)}\r\n${bytes}\r\n`;

export const CAMERAS: ReadonlyMap<string, CameraHabits> = new Map([
  [
    'the boundary is declared with its dashes, and no part says its length',
    {
      head: ['HTTP/1.0 200 OK', 'Content-Type: multipart/x-mixed-replace;boundary=--myboundary'],
      part: (picture) => `--myboundary\r\nContent-type: image/jpeg\r\n\r\n${picture}\r\n`,
    },
  ],
  [
    'the boundary is in quotes, lines end in LF, lengths are told and no line end follows',
    {
      head: ['HTTP/1.0 200 OK', 'content-type: Multipart/X-Mixed-Replace; boundary="a b=c"'],
      part: (picture) => `--a b=c\nContent-Type: image/jpeg\nContent-Length: ${picture.length}\n\n${picture}`,
    },
  ],
  [
    'chunked, and two dashes more than declared',
    {
      head: [
        'HTTP/1.1 200 OK',
        'Transfer-Encoding: chunked',
        'Content-Type: multipart/x-mixed-replace; boundary=BoundaryString',
      ],
      part: (picture) => `----BoundaryString\r\nX-Timestamp: 1.0\r\nContent-Type: image/jpeg\r\n\r\n${picture}\r\n`,
      wrap: chunk,
    },
  ],
  [
    'no length, and no line end before the boundary',
    {
      head: ['HTTP/1.0 200 OK', 'Content-Type: multipart/x-mixed-replace; boundary=frame'],
      part: (picture) => `--frame\r\nContent-Type: image/jpeg\r\n\r\n${picture}`,
    },
  ],
]);

/** Something like a picture: the markers of JPEG around bytes that look like line ends and boundaries. */
export function fakePicture(number: number, size = 20_000): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 7 + number * 31) & 0xff;
  bytes.write('\r\n--my\r\n----Boundary\n--a b', 100, 'latin1');
  bytes.writeUInt16BE(0xffd8, 0);
  bytes.writeUInt16BE(0xffd9, size - 2);
  return bytes;
}

/**
 * @param pictures sent one after the other to each connection, which then stays open
 * @param size bytes of each write
 */
export async function startCamera(
  t: TestContext,
  habits: CameraHabits,
  pictures: readonly Buffer[],
  size: number,
): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => void send(socket));
  });
  const send = async (socket: Socket): Promise<void> => {
    const { head, part, wrap = (bytes) => bytes } = habits;
    socket.write(`${head.join('\r\n')}\r\n\r\n`, 'latin1');
    // The beginning of the next one, which is the end of the last for cameras that tell no lengths.
    const body = `${pictures.map((picture) => part(picture.toString('latin1'))).join('')}${part('')}`;
    for (let at = 0; at < body.length; at += size) {
      if (!socket.write(wrap(body.slice(at, at + size)), 'latin1')) await once(socket, 'drain');
      await new Promise(setImmediate);
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
