/**
 * What `runnel run` and `runnel files` have in common: where they listen, who may come in, and what they say about it. Their flags become a
 * configuration, and what is wrong with that is told in the words of the command line.
 */
import { statSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { madeTls } from '../../config/keys/tls.ts';
import type { Problem } from '../../config/reading/problems.ts';

import type { RawTable } from '../../config/values/tables.ts';
import { type Config, readConfig } from '../../gateway/config.ts';
import { parseHost } from '../../net/host.ts';
import { reasonInWords, systemCode } from '../../ops/system-errors.ts';
import { type CertificatePair, makeSelfSignedServer } from '../../tls/making/lan.ts';
import { type CommandLine, type Flag, UsageError } from '../verb.ts';
import { lanAddresses, type MachineAddress, machineAddresses } from './lan.ts';

const USUAL_PORT = 8080;
export const LAST_PORT = 65_535;
const LOOPBACK = '127.0.0.1';
const STOP_TIMEOUT = '3s';

export const OPENING_FLAGS = {
  listen: {
    short: 'l',
    value: 'ADDRESS',
    doc: `where to listen (default ${LOOPBACK}:${USUAL_PORT}, for this machine alone); a port alone is one of this machine alone; :8080 means every address of this machine`,
  },
  'open-to': {
    value: 'LAN',
    choices: ['LAN'],
    doc: 'listen on the addresses that this machine has in the LAN (private ones, not those of containers or tunnels), and on loopback; with -l PORT on that port',
  },
  hosts: {
    value: 'NAMES',
    doc: 'host names under which it may be opened, with commas; * allows any; addresses, localhost and the name of this machine always work',
  },
  tls: {
    doc: 'speak HTTPS, with a certificate that is made in memory for this run; its fingerprint is printed, to be compared in the browser',
  },
  'password-file': {
    value: 'FILE',
    doc: 'ask for a name and a password of FILE, lines as "runnel hash-password NAME" prints them',
  },
  'token-file': {
    value: 'FILE',
    doc: 'ask for a token of FILE, lines as "runnel token NAME" prints them; a browser sends it as ?access_token=, other clients as Authorization: Bearer',
  },
  qr: {
    doc: 'draw the address as a QR code; without this flag only on a terminal, and only when it is open to others',
  },
  engine: { value: 'NAME', choices: ['auto', 'uws', 'node'], doc: 'the network engine: auto (default), uws or node' },
} as const satisfies { readonly [name: string]: Flag };

/** What other programs call these flags. */
export const INSTEAD = {
  '-p': '-l PORT',
  '--port': '-l PORT',
  '-b': '-l ADDRESS',
  '--bind': '-l ADDRESS',
  '--address': '-l ADDRESS',
  '-i': '-l ADDRESS',
  '--host': '-l ADDRESS',
  '--lan': '--open-to LAN',
  '--open': '--open-to LAN',
  '--public': '--open-to LAN',
  '-S': '--tls',
  '--ssl': '--tls',
  '--https': '--tls',
  '-c': '--password-file FILE',
  '--credential': '--password-file FILE',
  '--auth': '--password-file FILE',
  '--password': '--password-file FILE (command lines can be read by everybody on this machine)',
  '--token': '--token-file FILE (command lines can be read by everybody on this machine)',
} as const;

export interface Opening {
  readonly config: Config;
  /** What is odd about the files, in whole sentences without their full stop. */
  readonly warnings: readonly string[];
  /** Of --tls. */
  readonly certificate: CertificatePair | undefined;
  readonly addresses: readonly MachineAddress[];
}

/**
 * Reads the configuration that the flags amount to. Throws a `UsageError` with every problem of it.
 * @param route the kind of route that is served at "/", its keys, and how long the gateway waits for clients at its end
 * @param flagOf the flags of the route's keys, for messages
 */
export function planOpening(
  line: CommandLine,
  route: { readonly kind: 'stream' | 'static'; readonly keys: RawTable; readonly stopTimeout?: string },
  flagOf: { readonly [key: string]: string },
): Opening {
  const { hosts, engine = 'auto', tls, 'password-file': passwords, 'token-file': tokens } = line.flags;
  const addresses = machineAddresses(interfaces());
  const listen = listenAddresses(line, addresses);
  const names = [...ownNames(), ...(hosts?.split(',').map((name) => name.trim()) ?? [])];
  const auth = {
    ...(passwords === undefined ? {} : { basic: passwords }),
    ...(tokens === undefined ? {} : { tokens, query_token: true }),
  };
  const table = {
    stop_timeout: route.stopTimeout ?? STOP_TIMEOUT,
    listen: listen.map((address) => ({ address, engine, hosts: names })),
    // A proxy before a Unix socket is believed, and may leave the path in below which it shows the page. A folder may have one of that name.
    ...(route.kind === 'stream' ? { connections: { proxy_prefix: 'kept' } } : {}),
    [route.kind]: { '/': { ...route.keys, ...(Object.keys(auth).length === 0 ? {} : { auth }) } },
  };
  const result = readConfig(table, 'the command line');
  if (!result.ok) throw new UsageError(problemLines(result.problems, { ...FLAG_OF, ...flagOf }));
  const certificate = tls === undefined ? undefined : makeCertificate(result.config, names, addresses);
  return {
    config: certificate === undefined ? result.config : withTls(result.config, certificate),
    warnings: [passwords, tokens].flatMap((file) => (file === undefined ? [] : openFile(file))),
    certificate: certificate?.pair,
    addresses,
  };
}

/** None where the system does not tell. */
function interfaces(): ReturnType<typeof networkInterfaces> {
  try {
    return networkInterfaces();
  } catch {
    return {};
  }
}

/** Where an address is, if it is not for this machine alone. */
export function isOpen({ listen }: Config): boolean {
  return listen.some(
    ({ address }) => address.kind === 'systemd' || (address.kind === 'tcp' && !isLoopback(address.host)),
  );
}

export function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1';
}

/** What -l and --open-to amount to, as the configuration writes addresses. */
function listenAddresses({ flags }: CommandLine, addresses: readonly MachineAddress[]): readonly string[] {
  const { listen, 'open-to': openTo } = flags;
  const port = /^:?(\d{1,5})$/.exec(listen ?? String(USUAL_PORT))?.[1];
  if (Number(port) > LAST_PORT) throw new UsageError(`-l: a port is from 1 to ${LAST_PORT}, not ${port}`);
  if (openTo === undefined)
    return [listen === undefined || (!listen.startsWith(':') && port !== undefined) ? `${LOOPBACK}:${port}` : listen];
  if (openTo.toLowerCase() !== 'lan')
    throw new UsageError(
      `--open-to takes LAN, not "${openTo}"; -l :${port ?? USUAL_PORT} means every address of this machine`,
    );
  if (port === undefined)
    throw new UsageError(
      `--open-to LAN finds the addresses by itself, so -l is to name only the port: -l ${portOf(listen) ?? USUAL_PORT} (or leave --open-to out)`,
    );
  if (Number(port) === 0)
    throw new UsageError('--open-to LAN listens on several addresses, so -l has to name a port for all of them');
  const lan = lanAddresses(addresses);
  if (lan.length === 0) {
    const [some] = addresses;
    throw new UsageError(
      `this machine has no address in a LAN${some === undefined ? ': is the network up?' : `; it has ${addresses.map(({ address }) => address).join(', ')}, and -l ${inUrl(some)}:${port} would open it to all who reach that`}`,
    );
  }
  return [`${LOOPBACK}:${port}`, ...lan.map((each) => `${inUrl(each)}:${port}`)];
}

function portOf(listen: string | undefined): string | undefined {
  return /:(\d{1,5})$/.exec(listen ?? '')?.[1];
}

export function inUrl({ address, isIPv6 }: Pick<MachineAddress, 'address' | 'isIPv6'>): string {
  return isIPv6 ? `[${address}]` : address;
}

/** What other machines of the network call this one; ".local" is multicast DNS (RFC 6762). */
function ownNames(): readonly string[] {
  const host = parseHost(hostname());
  return host?.kind === 'name' ? [host.name, `${host.name}.local`] : [];
}

interface MadeCertificate {
  readonly pair: CertificatePair;
  readonly names: readonly string[];
}

/** For every name and address under which it can be opened. */
function makeCertificate(
  { listen }: Config,
  names: readonly string[],
  addresses: readonly MachineAddress[],
): MadeCertificate {
  const hosts = listen.flatMap(({ address }) => (address.kind === 'tcp' ? [address.host] : []));
  const everywhere = hosts.some((host) => host === '::' || host === '0.0.0.0');
  const open = everywhere ? addresses.map(({ address }) => address) : hosts.filter((host) => !isLoopback(host));
  const all = ['localhost', ...names.filter((name) => name !== '*'), ...open, LOOPBACK, '::1'];
  const unique = [...new Set(all.map((name) => name.toLowerCase()))];
  return { pair: makeSelfSignedServer(unique, Date.now()), names: unique };
}

function withTls(config: Config, { pair, names }: MadeCertificate): Config {
  return { ...config, listen: config.listen.map((listener) => ({ ...listener, tls: madeTls(pair, names) })) };
}

const FLAG_OF: { readonly [key: string]: string } = {
  address: '-l',
  engine: '--engine',
  hosts: '--hosts',
  basic: '--password-file',
  tokens: '--token-file',
};

/** For files of which somebody may expect that the secrets themselves stand in them. */
const LINE_ADVICE: { readonly [key: string]: string } = {
  basic: 'its lines are those that "runnel hash-password NAME" prints',
  tokens: 'its lines are those that "runnel token NAME" prints',
};

/** Each problem with the flag that it is about, and each once. */
function problemLines(problems: readonly Problem[], flagOf: { readonly [key: string]: string }): string {
  const lines = problems.map(({ path, message, hint }) => {
    const key = path.replace(/(\[\d+\])+$/, '').replace(/^.*\./, '');
    const advice = hint ?? (message.includes('runnel ') ? undefined : LINE_ADVICE[key]);
    return `${flagOf[key] ?? key}: ${message}${advice === undefined ? '' : `; ${advice}`}`;
  });
  return [...new Set(lines)].join('\n');
}

const OTHERS_READ = 0o004;
const OTHERS_WRITE = 0o022;

/** Who else than its owner can do what with a file of secrets. */
function openFile(file: string): readonly string[] {
  try {
    const { mode } = statSync(file);
    if ((mode & OTHERS_WRITE) !== 0) return [`others can write to ${file}, and let themselves in: chmod 600 ${file}`];
    return (mode & OTHERS_READ) === 0 ? [] : [`every user of this machine can read ${file}: chmod 600 ${file}`];
  } catch (error) {
    return [`${file} ${reasonInWords(systemCode(error) ?? String(error))}`];
  }
}
