/** Servers that are no gateway, and readers, for the tests of the client. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Connection, Data } from 'runnel/client';
import { type WebSocket, WebSocketServer } from 'ws';

/** A server of the package ws at a port of 127.0.0.1. @returns the port */
export async function wsServer(
  t: TestContext,
  onConnection: (socket: WebSocket, request: IncomingMessage) => void,
  options: { readonly server?: Server; readonly host?: string } = {},
): Promise<number> {
  const server = options.server ?? createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on('connection', (socket, request) => {
    socket.on('error', () => undefined);
    onConnection(socket, request);
  });
  server.listen(0, options.host ?? '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** The next so many messages. Fails when the stream ends before. */
export async function read(connection: Connection, count: number): Promise<Data[]> {
  const reader = connection.readable.getReader();
  const messages: Data[] = [];
  try {
    while (messages.length < count) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`it ended after ${messages.length} messages`);
      messages.push(value);
    }
    return messages;
  } finally {
    reader.releaseLock();
  }
}

export async function readAll(connection: Connection): Promise<Data[]> {
  const messages: Data[] = [];
  for await (const message of connection.readable) messages.push(message);
  return messages;
}

export async function write(connection: Connection, ...messages: readonly Data[]): Promise<void> {
  const writer = connection.writable.getWriter();
  for (const message of messages) await writer.write(message);
  writer.releaseLock();
}

/** What a promise rejects with. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<Error & { readonly failure?: string; readonly status?: number }> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Error) return error;
  throw new Error('it did not fail');
}
