/** The name that DNS, or /etc/hosts, has for an address: REMOTE_HOST where a route asks for it. */
import { isIP } from 'node:net';
import { hostNumber } from '../net/address.ts';

/** Milliseconds that one server of /etc/resolv.conf has, and all of them. */
const TIME = { server: 500, all: 1000 };
/** Programs write it into logs, links and shell commands. */
const NAME = /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/;

/** Undefined where there is none, or no answer in time. Never rejects. */
export async function reverseLookup(address: string): Promise<string | undefined> {
  const plain = hostNumber(address);
  if (isIP(plain) === 0) return undefined;
  const { Resolver } = await import('node:dns/promises');
  const resolver = new Resolver({ timeout: TIME.server, tries: 1 });
  const enough = setTimeout(() => resolver.cancel(), TIME.all);
  try {
    const [name] = await resolver.reverse(plain);
    return name !== undefined && NAME.test(name) ? name : undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(enough);
  }
}
