/** A bad line: a TCP proxy that cuts, refuses and counts, on a port from the system. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface BadLine {
  /** Where it leads: a port of this machine, or a Unix socket. */
  readonly to: number | string;
  /** Cuts a connection on which nothing was said for so many milliseconds. */
  readonly idle?: number;
  /** Cuts a connection after so many bytes for the client. */
  readonly cutAfter?: number;
  /** Cuts a connection on which the client says this. */
  readonly refuse?: RegExp;
}

export interface TcpProxy {
  readonly port: number;
  /** Connections so far. */
  readonly connections: number;
  /** Those that it has cut. */
  readonly cuts: number;
  /** What has come so far, from both sides. */
  readonly bytes: number;
  /** Cuts every connection that there is now. */
  cutAll(): void;
}

export async function tcpProxy(t: TestContext, line: BadLine): Promise<TcpProxy> {
  const open = new Set<Socket>();
  let connections = 0;
  let cuts = 0;
  let all = 0;
  const server = createServer((client) => {
    connections++;
    open.add(client);
    const upstream = typeof line.to === 'number' ? connect(line.to, '127.0.0.1') : connect(line.to);
    let passed = 0;
    const cut = (): void => {
      if (!client.destroyed) cuts++;
      client.destroy();
    };
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => undefined);
      from.on('end', () => to.end());
      from.on('close', () => {
        to.destroy();
        open.delete(client);
      });
      if (line.idle !== undefined) from.setTimeout(line.idle, cut);
    }
    client.on('data', (bytes) => {
      all += bytes.length;
      if (line.refuse?.test(bytes.toString('latin1')) === true) cut();
      else upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      all += bytes.length;
      passed += bytes.length;
      // What is over the mark is lost, as on a line that breaks.
      const over = line.cutAfter === undefined ? 0 : Math.max(0, passed - line.cutAfter);
      client.write(bytes.subarray(0, bytes.length - over), () => {
        if (over > 0) cut();
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cutAll = (): void => {
    for (const client of [...open]) client.destroy();
  };
  t.after(() => {
    server.close();
    cutAll();
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    get connections() {
      return connections;
    },
    get cuts() {
      return cuts;
    },
    get bytes() {
      return all;
    },
    cutAll,
  };
}
