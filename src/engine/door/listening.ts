/** Listeners of either engine: every address, also on a system without IPv6, and what a person types to get there. */
import { type Engine, type EngineEvents, ListenError, type Listening, type ListenOptions } from '../engine.ts';

/** What the system says of "::" when IPv6 is not in the kernel or was switched off (ipv6.disable=1), and when no interface may have it. */
const NO_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL']);

/**
 * Listens. "::" stands for every address, IPv4 too; where the system has no IPv6 those of IPv4 are every address.
 * @param inPlaceOf See `Engine.listen`.
 * @param without Is told then: a sentence for the log.
 */
export async function listenEverywhere(
  engine: Engine,
  options: ListenOptions,
  events: EngineEvents,
  inPlaceOf: Listening | undefined,
  without: (sentence: string) => void,
): Promise<Listening> {
  const { address, name } = options;
  try {
    return await engine.listen(options, events, inPlaceOf);
  } catch (error) {
    if (address.kind !== 'tcp' || address.host !== '::') throw error;
    if (!(error instanceof ListenError) || !NO_IPV6.has(error.code)) throw error;
    const listening = await engine.listen({ ...options, address: { ...address, host: '0.0.0.0' } }, events);
    without(`this system has no IPv6: "${name}" listens on 0.0.0.0, which is every IPv4 address`);
    return listening;
  }
}

/** The URL that a person types to get there; the listener's name where there is no port. */
export function listeningUrl(listening: Listening): string {
  if (listening.port === undefined) return listening.name;
  const host = listening.name.slice(0, listening.name.lastIndexOf(':'));
  const typed = host === '' || host === '[::]' || host === '0.0.0.0' ? 'localhost' : host;
  return `${listening.secure ? 'https' : 'http'}://${typed}:${listening.port}/`;
}
