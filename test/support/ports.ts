/** Ports for what cannot be given port 0, or has to be told a port before it listens. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** Below 1024 one needs a right, and just above it other programs have their places. */
const FIRST = 10_240;

/** Where the kernel begins to give ports away to who asks for port 0 or connects. */
function firstOfTheKernel(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1'), 10);
  } catch {
    return 32_768;
  }
}

/**
 * A port of 127.0.0.1 at which nobody listens. It is one that the kernel gives to nobody by itself: a port that was the
 * kernel's choice and was let go of becomes the end of another test's connection before it is used.
 */
export async function freePort(): Promise<number> {
  const last = firstOfTheKernel();
  for (let attempt = 0; attempt < 100 && last - FIRST > 1000; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * (last - FIRST));
    if ((await bound(port)) !== undefined) return port;
  }
  const port = await bound(0);
  if (port === undefined) throw new Error('no port is free');
  return port;
}

/** The port that was bound, and is free again; nothing if it is taken. On all addresses: tests use others than 127.0.0.1 too. */
function bound(port: number): Promise<number | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(port, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}
