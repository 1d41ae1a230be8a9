/** A source of bytes that says what the test says, to everybody who is connected. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface PictureSource {
  readonly port: number;
  readonly sockets: ReadonlySet<Socket>;
  say(bytes: Buffer): void;
  /** It is away: nobody is connected, and nobody can connect. */
  leave(): void;
}

export async function startPictureSource(t: TestContext): Promise<PictureSource> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const leave = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  t.after(leave);
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    leave,
    say(bytes) {
      for (const socket of sockets) socket.write(bytes);
    },
  };
}
