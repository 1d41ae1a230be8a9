/** The servers behind the gateway: whether each is known, there, and who it should be. */
import type { Remote } from '../../../config/values/remote.ts';
import { everyRoute } from '../../../gateway/config.ts';
import { ConnectError, Connector } from '../../../upstream/connecting.ts';
import { serverIdentity } from '../../../upstream/trust.ts';
import type { Finding, Patient } from '../finding.ts';

/** Milliseconds. */
const PATIENCE = 5000;

interface Target {
  readonly about: string;
  readonly remote: Remote;
  readonly secure: boolean;
  readonly route: object;
}

export async function probeUpstreams(
  { config }: Pick<Patient, 'config'>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const targets = everyRoute(config).flatMap(({ kind, key, route }) => targetsOf(`${kind.name}."${key}"`, route));
  const found = await Promise.all(targets.map((target) => probe(target, signal)));
  return found.flat();
}

async function probe({ about, remote, secure, route }: Target, signal: AbortSignal): Promise<readonly Finding[]> {
  try {
    const name = remote.kind === 'tcp' && !/^[\d.]+$|:/.test(remote.host) ? remote.host : undefined;
    const text = (key: string): string | undefined => {
      const value: unknown = Reflect.get(route, key);
      return typeof value === 'string' ? value : undefined;
    };
    const pin: unknown = Reflect.get(route, 'pin');
    const pins = Array.isArray(pin) ? pin.filter((each): each is string => typeof each === 'string') : undefined;
    const trust = { ca: text('ca'), pin: pins, server_name: text('server_name') };
    const connector = new Connector({
      remote,
      timeout: PATIENCE,
      ...(secure ? { tls: serverIdentity(trust, name) } : {}),
    });
    const socket = await connector.connect(signal);
    socket.take()?.destroy();
    return [];
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    return [{ level: 'problem', about, seen: error.message, matters: MATTERS, remedy: remedyFor(error.failure) }];
  }
}

const MATTERS = 'requests for this route fail, or its stream says that its source is away';

function remedyFor(failure: ConnectError['failure']): string {
  if (failure === 'unresolved')
    return 'see "getent hosts NAME" and /etc/resolv.conf, or write the address instead of the name';
  if (failure === 'certificate')
    return 'name its authority with "ca", its key with "pin", or the name in its certificate with "server_name"';
  if (failure === 'refused') return 'start the server, and see on which address and port it listens ("ss -ltn")';
  return 'see whether the network leads there ("ping", "traceroute"), and whether a firewall is between';
}

/** Every place in a route where an address of somebody else stands. */
function targetsOf(about: string, route: object): readonly Target[] {
  const found = new Map<string, Target>();
  const look = (value: unknown, key: string): void => {
    if (typeof value !== 'object' || value === null || value instanceof Map) return;
    const [kind, url, scheme, secure]: unknown[] = ['kind', 'url', 'scheme', 'secure'].map((name) =>
      Reflect.get(value, name),
    );
    const inner: unknown = Reflect.get(value, 'remote');
    if (typeof url === 'string' && URL.canParse(url)) add(key, remoteOf(url), url.startsWith('https:'));
    else if (isRemote(inner)) add(key, inner, scheme === 'https' || secure === true);
    else if (isRemote(value) && (kind === 'tcp' || kind === 'unix')) add(key, value, false);
    else for (const [name, each] of Object.entries(value)) if (key === '') look(each, name);
  };
  const add = (key: string, remote: Remote, secure: boolean): void => {
    found.set(remote.text, { about: `${about}.${key}`, remote, secure, route });
  };
  look(route, '');
  const poll: unknown = Reflect.get(route, 'poll');
  if (typeof poll === 'string' && /^https?:\/\//.test(poll) && URL.canParse(poll))
    add('poll', remoteOf(poll), poll.startsWith('https:'));
  return [...found.values()];
}

function remoteOf(text: string): Remote {
  const { protocol, hostname, port } = new URL(text);
  const usual = protocol === 'https:' ? 443 : 80;
  return { kind: 'tcp', host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? usual : Number(port), text };
}

export function isRemote(value: unknown): value is Remote {
  if (typeof value !== 'object' || value === null || typeof Reflect.get(value, 'text') !== 'string') return false;
  return typeof Reflect.get(value, 'path') === 'string' || typeof Reflect.get(value, 'port') === 'number';
}
