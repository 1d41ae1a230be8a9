/** An old server that a stream polls: its answers are what the test says, and it knows who has asked. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface OldServer {
  readonly port: number;
  readonly requests: { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers'] }[];
  /** Connections that were ever made. */
  readonly connections: Socket[];
  /** What answers from now on. */
  answer: (incoming: IncomingMessage, response: ServerResponse) => void;
  /** Stops listening and drops every connection. */
  stop(): Promise<void>;
  /** Listens again, on the same port. */
  start(): Promise<void>;
}

export async function oldServer(t: TestContext, answer: OldServer['answer']): Promise<OldServer> {
  const requests: OldServer['requests'] = [];
  const connections: Socket[] = [];
  let server: Server | undefined;
  let port = 0;
  const old = {
    get port() {
      return port;
    },
    requests,
    connections,
    answer,
    async start() {
      server = createServer((incoming, response) => {
        requests.push({ method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers });
        old.answer(incoming, response);
      });
      server.on('connection', (socket) => connections.push(socket));
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      port = (server.address() as AddressInfo).port;
    },
    async stop() {
      const running = server;
      if (running === undefined) return;
      server = undefined;
      const closed = once(running, 'close');
      running.close();
      running.closeAllConnections();
      await closed;
    },
  };
  await old.start();
  t.after(() => old.stop());
  return old;
}
