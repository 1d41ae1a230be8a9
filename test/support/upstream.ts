/** A server of Node's behind the gateway, which keeps what it was asked. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** A request as it came: names in lower case, in their order, repeated ones apart. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  header(name: string): string | undefined;
}

export interface TestUpstream {
  readonly server: Server;
  readonly port: number;
  readonly asked: readonly Asked[];
  /** Connections that are open now. */
  readonly open: ReadonlySet<Socket>;
  /** How many there were. */
  connections(): number;
}

/** Answers with `answer`; ended with the test. */
export async function httpUpstream(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  where: { readonly path?: string; readonly port?: number } = {},
): Promise<TestUpstream> {
  const asked: Asked[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((request, response) => {
    const raw = request.rawHeaders;
    const headers = raw.flatMap((name, at) => (at % 2 === 0 ? [[name.toLowerCase(), raw[at + 1] ?? ''] as const] : []));
    asked.push({
      method: request.method ?? '',
      url: request.url ?? '',
      headers,
      header: (wanted) => headers.find(([name]) => name === wanted)?.[1],
    });
    answer(request, response);
  });
  server.on('connection', (socket) => {
    connections++;
    open.add(socket);
    socket.on('close', () => open.delete(socket)).on('error', () => undefined);
  });
  await new Promise<void>((resolve) => {
    if (where.path === undefined) server.listen(where.port ?? 0, '127.0.0.1', resolve);
    else server.listen(where.path, resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    for (const socket of open) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? (address as AddressInfo).port : 0;
  return { server, port, asked, open, connections: () => connections };
}
