/** A FastCGI application for tests that says exactly what it is told to. */
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** One record of request 1, padded. */
export function recordOf(type: number, content: string | Buffer, padding = 0): Buffer {
  const bytes = Buffer.from(content);
  const header = Buffer.from([1, type, 0, 1, 0, 0, padding, 0]);
  header.writeUInt16BE(bytes.length, 4);
  return Buffer.concat([header, bytes, Buffer.alloc(padding, 0xaa)]);
}

export function endRecord(appStatus: number, protocolStatus: number, padding = 0): Buffer {
  const body = Buffer.from([0, 0, 0, 0, protocolStatus, 0, 0, 0]);
  body.writeUInt32BE(appStatus);
  return recordOf(3, body, padding);
}

export interface Application {
  readonly port: number;
  /** Connections that are open now. */
  readonly open: Set<Socket>;
  /** What has come over all connections. */
  received(): Buffer;
}

/** Listens on a free port; `answer` is called once for each connection, when the request's variables are there. */
export async function application(t: TestContext, answer: (socket: Socket) => void): Promise<Application> {
  const open = new Set<Socket>();
  const received: Buffer[] = [];
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.once('data', (first: Buffer) => {
      answer(socket);
      // For those who listen only from now on.
      for (const listener of socket.listeners('data').slice(1)) listener(first);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  return { port, open, received: () => Buffer.concat(received) };
}
