/** Which port could be had where one is in use, and what to write for it. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Config } from '../../gateway/config.ts';
import { takenPorts } from '../../ops/system/ports.ts';
import { visible } from '../../ops/visible.ts';
import { EXIT } from '../verb.ts';
import { isLoopback, LAST_PORT } from './opening.ts';

/** How far to look. */
const MOST = 100;
/** Ports below are root's. */
const FIRST_FREE = 1024;

/** Tells why it could not listen, and what could be done. It does not listen anywhere else: who has asked for a port waits there. */
export async function tellNotListening({ listen }: Config, message: string, code: string): Promise<number> {
  const places = listen.flatMap(({ address }) => (address.kind === 'tcp' ? [address] : []));
  const [first] = places;
  const denied = code === 'EACCES' || code === 'EPERM';
  let advice = '';
  if (first !== undefined && (code === 'EADDRINUSE' || denied)) {
    const hosts = places.map(({ host }) => host);
    const port = await nextFree(hosts, denied ? FIRST_FREE : first.port + 1);
    const owner = denied ? undefined : takenPorts().find((taken) => taken.port === first.port)?.program;
    if (owner !== undefined) advice += `; it is ${visible(owner)}`;
    if (port !== undefined)
      advice += `; port ${port} is free${denied ? ' without root' : ''}: -l ${written(hosts, port)}`;
  }
  process.stderr.write(`${message}${advice}\n`);
  return denied ? EXIT.cannotCreate : EXIT.system;
}

/** As -l takes it; --open-to, where it was said, stays. */
function written(hosts: readonly string[], port: number): string {
  const [first = ''] = hosts;
  if (hosts.length > 1 || isLoopback(first)) return String(port);
  return `${first === '::' ? '' : first.includes(':') ? `[${first}]` : first}:${port}`;
}

async function nextFree(hosts: readonly string[], from: number): Promise<number | undefined> {
  for (let port = from; port < from + MOST && port <= LAST_PORT; port++) {
    const free = await Promise.all(hosts.map((host) => isFree(host, port)));
    if (!free.includes(false)) return port;
  }
  return undefined;
}

async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
