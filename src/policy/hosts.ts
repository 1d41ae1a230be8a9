/**
 * Whether a listener answers for the host that a request names. A page can have its own name point at this machine (DNS rebinding): to a
 * browser it is then of the same origin, and only the Host field tells.
 */
import type { Host } from '../net/host.ts';
import type { HostPatterns } from '../net/host-patterns.ts';
import type { Refusal } from './refusal.ts';

/** @param host undefined where the request names none, which no browser does */
export function decideHost(host: Host | undefined, hosts: HostPatterns): Refusal | undefined {
  if (host === undefined || hosts.admits(host)) return undefined;
  const because = `Host is ${host.name}, which "hosts" of this listener does not list`;
  return { status: 421, because, policy: 'host', headers: [] };
}
