/** A server of Node's begins to listen, whatever its address is. */
import { once } from 'node:events';
import type { Server } from 'node:net';
import type { ListenAddress } from '../engine.ts';
import { listenOnPath } from './socket-file.ts';
import { inheritedDescriptor } from './systemd-sockets.ts';

/** Resolves once it listens. Rejects with the system's error, or with a `ListenError` for a socket that systemd has not handed over. */
export async function listen(server: Server, name: string, address: ListenAddress): Promise<void> {
  if (address.kind === 'unix') await begun(server, () => listenOnPath(server, address.path, address));
  else if (address.kind === 'systemd') {
    const descriptor = inheritedDescriptor(name, address.socket, process.env);
    await begun(server, () => server.listen({ fd: descriptor }));
  } else {
    const { host, port } = address;
    if (host === '::' && (await listensEverywhere(server, port))) return;
    await begun(server, () => server.listen({ host, port, exclusive: true }));
  }
}

async function begun(server: Server, begin: () => void): Promise<void> {
  const listening = once(server, 'listening');
  // Not when the next line throws.
  listening.catch(() => undefined);
  begin();
  await listening;
}

/**
 * Listens on "::" as Node does where no host is named: without its resolver, and without the expression that it compiles to see that "::" is
 * an address, a twentieth of a start. Gives false where Node has found 0.0.0.0 or nothing instead; then it does not listen, and whoever asks for
 * "::" by name is told why.
 */
async function listensEverywhere(server: Server, port: number): Promise<boolean> {
  try {
    await begun(server, () => server.listen({ port, exclusive: true }));
  } catch {
    return false;
  }
  const found = server.address();
  if (typeof found === 'object' && found?.family === 'IPv6') return true;
  server.close();
  await once(server, 'close');
  return false;
}
