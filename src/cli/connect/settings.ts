/** What the command line of `connect` says, as options of the client. Secrets come from files. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { environmentProxy, parseProxy } from '../../client/dialing/proxy.ts';
import { pinsOf } from '../../client/dialing/trust.ts';
import {
  basic,
  type ConnectOptions,
  type Plan,
  planOf,
  type StreamEvent,
  type Transport,
} from '../../client/options.ts';
import { type Address, parseAddress, parseDuration, parseSize } from '../../config/values/simple.ts';
import { reasonInWords, systemCode } from '../../ops/system-errors.ts';
import { type Framing, type FramingName, framing } from '../../stream/framing.ts';
import { type CommandLine, UsageError } from '../verb.ts';

export interface ConnectSettings {
  /** A plan of its own for each connection. `onEvent` is told what goes on. */
  readonly plan: (onEvent: (event: StreamEvent) => void) => Plan;
  readonly framing: Framing;
  readonly json: boolean;
  /** Messages. */
  readonly count: number;
  /** Milliseconds; undefined: without end. */
  readonly timeout: number | undefined;
  /** Milliseconds without a message after the end of the input. */
  readonly linger: number | undefined;
  readonly maxMessage: number;
  readonly listen: Exclude<Address, { readonly kind: 'systemd' }> | undefined;
  readonly maxConnections: number;
  readonly command: readonly string[];
  readonly quiet: boolean;
}

type Flags = CommandLine['flags'];

/** Of others an empty value means something, or is refused where it is read. */
const NEVER_EMPTY: ReadonlySet<string> = new Set([
  'unix-socket',
  'server-name',
  'listen',
  'proxy',
  'ca',
  'cert',
  'key',
]);
/** Milliseconds: no answer across a network is to be expected earlier. */
const MIN_PING = 100;

/** Throws a `UsageError`. */
export function readSettings(url: string, command: readonly string[], flags: Flags): ConnectSettings {
  for (const [name, value] of Object.entries(flags))
    if (value === '' && NEVER_EMPTY.has(name)) throw new UsageError(`--${name} needs a value`);
  if (flags['plain'] !== undefined && flags['after'] !== undefined)
    throw new UsageError('--plain and --after do not go together: a message has an id only without --plain');
  if (flags['token-file'] !== undefined && flags['password-file'] !== undefined)
    throw new UsageError('--token-file and --password-file do not go together: a request shows one of them');
  if (command[0] === '') throw new UsageError('COMMAND is empty: -- begins a program and its arguments');
  const listen = flags['listen'] === undefined ? undefined : listenAddress(flags['listen']);
  if (listen !== undefined && command.length > 0) throw new UsageError('--listen and a COMMAND do not go together');
  if (listen !== undefined && flags['json'] !== undefined)
    throw new UsageError('--listen and --json do not go together');
  const maxMessage = size(flags, 'max-message') ?? 16 << 20;
  const options = optionsOf(url, flags, maxMessage);
  const plan = (onEvent: (event: StreamEvent) => void): Plan => asUsage(() => planOf(url, { ...options, onEvent }));
  // Every mistake that can be seen now.
  const { url: asked, tls, proxy, socketPath } = plan(() => undefined);
  asUsage(() => pinsOf(tls));
  if (typeof proxy === 'string') asUsage(() => parseProxy(proxy));
  else if (proxy === undefined && socketPath === undefined)
    asUsage(() => environmentProxy(asked, process.env), 'the proxy of the environment: ');
  return {
    plan,
    framing: framingOf(flags['framing'] ?? (listen === undefined ? 'lines' : 'raw')),
    json: flags['json'] !== undefined,
    count: number(flags, 'count') ?? Number.POSITIVE_INFINITY,
    timeout: time(flags, 'timeout'),
    linger: time(flags, 'linger') ?? (listen === undefined ? undefined : 10_000),
    maxMessage,
    listen,
    maxConnections: number(flags, 'max-connections') ?? 64,
    command,
    quiet: flags['quiet'] !== undefined,
  };
}

function optionsOf(url: string, flags: Flags, maxMessage: number): ConnectOptions {
  refusePassword(url, '--password-file');
  const headers = flags['headers'] === undefined ? {} : headerFile(flags['headers']);
  const password = secret(flags, 'password-file');
  const [user = '', ...rest] = password?.split(':') ?? [];
  const ping = time(flags, 'ping');
  if (ping !== undefined && ping < MIN_PING) throw new UsageError(`--ping is at least ${MIN_PING}ms`);
  const connecting = time(flags, 'connect-timeout');
  const times = {
    ...(ping === undefined ? {} : { ping }),
    ...(connecting === undefined ? {} : { connect: connecting, tls: connecting, answer: connecting }),
  };
  const file = (name: string): string | undefined => (flags[name] === undefined ? undefined : read(flags[name], name));
  const tls = {
    ca: file('ca'),
    pin: flags['pin']?.split(','),
    serverName: flags['server-name'],
    cert: file('cert'),
    key: file('key'),
  };
  checkCertificates(flags, tls);
  const options = {
    headers: password === undefined ? headers : { ...headers, authorization: basic(user, rest.join(':')) },
    token: secret(flags, 'token-file'),
    transports: flags['transport']?.split(',') as readonly Transport[] | undefined,
    protocols: flags['protocol']?.split(','),
    after: flags['after'],
    resume: flags['plain'] !== undefined ? false : flags['json'] !== undefined ? true : undefined,
    reconnect: flags['reconnect'] === undefined ? undefined : ('unless-ended' as const),
    eofMessage: flags['eof'],
    proxy: proxyOf(flags),
    proxyTls: withoutUndefined({ ca: certificatesOf(flags, 'proxy-ca', file('proxy-ca')) }),
    socketPath: flags['unix-socket'],
    tls: withoutUndefined(tls),
    times,
    maxMessage,
  };
  return withoutUndefined(options);
}

/** Now, and not when the server is there: with --reconnect it would be tried again and again. */
function checkCertificates(
  flags: Flags,
  { ca, cert, key }: { readonly [name in 'ca' | 'cert' | 'key']: string | undefined },
): void {
  certificatesOf(flags, 'ca', ca);
  if (cert === undefined && key !== undefined) throw new UsageError('--key needs --cert');
  if (cert === undefined) return;
  certificatesOf(flags, 'cert', cert);
  // A file may have both.
  const keyFlag = key === undefined ? 'cert' : 'key';
  let fits: boolean;
  try {
    fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key ?? cert));
  } catch {
    throw new UsageError(
      `--${keyFlag}: there is no private key in ${flags[keyFlag]} that can be used: it begins with "-----BEGIN PRIVATE KEY-----", and has no passphrase`,
    );
  }
  if (!fits)
    throw new UsageError(`--key: the key in ${flags[keyFlag]} is not that of the certificate in ${flags['cert']}`);
}

function certificatesOf(flags: Flags, name: string, pem: string | undefined): string | undefined {
  if (pem === undefined) return undefined;
  const [first] =
    /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/.exec(pem) ??
    [];
  try {
    if (first !== undefined && new X509Certificate(first).raw.length > 0) return pem;
  } catch {
    // It only looks like one.
  }
  throw new UsageError(
    `--${name}: there is no certificate in ${flags[name]}: PEM begins with "-----BEGIN CERTIFICATE-----"`,
  );
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(options: T): Partial<Defined<T>> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<Defined<T>>;
}

function proxyOf(flags: Flags): string | false | undefined {
  const text = flags['proxy'];
  const password = secret(flags, 'proxy-password-file');
  if (text === undefined && password !== undefined) throw new UsageError('--proxy-password-file needs --proxy');
  if (text === undefined) return undefined;
  if (text === 'none') return false;
  const { url } = asUsage(() => parseProxy(text));
  refusePassword(url.href, '--proxy-password-file');
  const [user, ...rest] = password?.split(':') ?? [];
  if (user !== undefined) url.username = encodeURIComponent(user);
  if (user !== undefined) url.password = encodeURIComponent(rest.join(':'));
  return url.href;
}

/** Whoever lists the processes of this machine sees the command line. */
function refusePassword(url: string, instead: string): void {
  const hasPassword = URL.canParse(url) && new URL(url).password !== '';
  if (hasPassword)
    throw new UsageError(`a password does not belong on a command line: ${instead} names a file with it`);
}

function listenAddress(text: string): ConnectSettings['listen'] {
  const address = parseAddress(text.replace(/^tcp:\/\//, ''), process.cwd());
  if (address === undefined || address.kind === 'systemd')
    throw new UsageError('--listen takes an address such as 127.0.0.1:1883, [::1]:1883 or unix:/run/x.sock');
  return address;
}

function framingOf(name: string): Framing {
  const names: readonly FramingName[] = ['lines', 'raw', 'length-prefixed'];
  const found = names.find((known) => known === name);
  if (found === undefined) throw new UsageError(`--framing is one of ${names.join(', ')}`);
  return framing(found);
}

function number(flags: Flags, name: string): number | undefined {
  const text = flags[name];
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new UsageError(`--${name} takes a whole number from 1 on`);
  return Number(text);
}

function time(flags: Flags, name: string): number | undefined {
  const text = flags[name];
  if (text === undefined) return undefined;
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined || milliseconds < 1 || milliseconds > 2 ** 31 - 1)
    throw new UsageError(`--${name} takes a time such as 500ms, 30s or 5m, up to 24 days`);
  return milliseconds;
}

function size(flags: Flags, name: string): number | undefined {
  const text = flags[name];
  if (text === undefined) return undefined;
  const bytes = parseSize(text);
  if (bytes === undefined || bytes < 1 || bytes > 2 ** 30)
    throw new UsageError(`--${name} takes a size such as 64KiB, up to 1GiB`);
  return bytes;
}

/** The first line of a file. */
function secret(flags: Flags, name: string): string | undefined {
  const file = flags[name];
  if (file === undefined) return undefined;
  const [line = ''] = read(file, name).split(/\r?\n/);
  if (line === '') throw new UsageError(`--${name}: the first line of ${file} is empty`);
  return line;
}

function headerFile(file: string): { readonly [name: string]: string } {
  const lines = read(file, 'headers').split(/\r?\n/);
  const fields = lines.filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    fields.map((line) => {
      const [, name, value] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+):\s*(.*?)\s*$/.exec(line) ?? [];
      if (name === undefined || value === undefined)
        throw new UsageError(`--headers: ${file} has a line that is not "Name: value"`);
      return [name, value];
    }),
  );
}

function read(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--${flag}: ${file} ${reasonInWords(systemCode(error) ?? 'EIO')}`);
  }
}

function asUsage<T>(make: () => T, of = ''): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(`${of}${error.message}`);
    throw error;
  }
}
