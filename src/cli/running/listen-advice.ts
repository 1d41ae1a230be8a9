/** What to do about an address that the system does not let the gateway listen on. */
import type { ListenError } from '../../engine/engine.ts';
import type { Config } from '../../gateway/config.ts';
import { takenPorts } from '../../ops/system/ports.ts';
import { visible } from '../../ops/visible.ts';

/** Ports below are root's (ip_unprivileged_port_start). */
const FIRST_FREE = 1024;

/** Completes "cannot listen on X: …". Undefined where there is nothing to add. */
export function listenAdvice(config: Pick<Config, 'listen' | 'admin'>, error: ListenError): string | undefined {
  const keys = [
    ...config.listen.map(({ address }) => ({ key: 'address in [[listen]]', address })),
    ...(config.admin === undefined ? [] : [{ key: 'listen in [admin]', address: config.admin.listen }]),
  ];
  const found = keys.find(({ address }) => error.message.startsWith(`cannot listen on ${address.text}: `));
  if (found?.address.kind !== 'tcp') return undefined;
  const { key } = found;
  const { port } = found.address;
  if (error.code === 'EADDRINUSE') {
    const owner = takenPorts().find((taken) => taken.port === port)?.program;
    const has = owner === undefined ? `"ss -ltnp sport = :${port}" as root shows which` : `it is ${visible(owner)}`;
    const stop = owner !== undefined && /runnel/.test(owner) ? 'stop it with "runnel stop"' : 'stop it';
    return `${has}: ${stop}, or change the port of ${key}`;
  }
  if ((error.code === 'EACCES' || error.code === 'EPERM') && port < FIRST_FREE)
    return `ports below ${FIRST_FREE} need a right: let systemd start it (the unit has AmbientCapabilities=CAP_NET_BIND_SERVICE), or write a port from ${FIRST_FREE} on as ${key}, such as ":8080"`;
  if (error.code === 'EADDRNOTAVAIL')
    return `"ip addr" shows the addresses of this machine; ":${port}" is every one of them`;
  return undefined;
}
