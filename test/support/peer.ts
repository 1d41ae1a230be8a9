/** A server behind the gateway that a test writes itself, on a port of the system or on a Unix socket. */
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface Peer {
  readonly port: number;
  /** Every connection so far. */
  readonly sockets: readonly Socket[];
}

/** Ended with the test. Its sockets allow half-open and forgive errors. */
export async function startPeer(t: TestContext, speak: (socket: Socket) => void, path?: string): Promise<Peer> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
    speak(socket);
  });
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(path, resolve);
  });
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, sockets };
}
