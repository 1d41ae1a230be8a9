/** A server that answers with bytes, whatever they are. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/**
 * Waits for each request's empty line, then writes the pieces one by one and closes the connection, unless `keep` says otherwise.
 *
 * @param answer one character for each byte
 */
export async function rawServer(
  t: TestContext,
  answer: (request: string, connection: number) => readonly string[],
  keep: (connection: number) => boolean = () => false,
): Promise<number> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = connections++;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    let request = '';
    const reply = async (): Promise<void> => {
      for (const piece of answer(request, connection)) {
        if (!socket.write(piece, 'latin1')) await once(socket, 'drain');
        // In a turn of its own, so that it arrives alone most of the time.
        await new Promise(setImmediate);
      }
      request = '';
      if (!keep(connection)) socket.end();
    };
    socket.on('data', (chunk: Buffer) => {
      request += chunk.toString('latin1');
      if (request.includes('\r\n\r\n')) reply().catch(() => undefined);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
