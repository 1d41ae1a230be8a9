/**
 * What somebody may have meant by a value that is not accepted: the values of other servers' configurations, and of TOML written by hand.
 * Each function takes a value as it is in the file, and returns TOML to write instead; undefined where nothing is likely.
 */
import { isIPv4, isIPv6 } from 'node:net';

const YES = /^(true|yes|on|1|enabled?)$/i;
const NO = /^(false|no|off|0|disabled?|none)$/i;

export function meantBoolean(value: unknown): string | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  if (YES.test(String(value))) return 'true';
  return NO.test(String(value)) ? 'false' : undefined;
}

export function meantInteger(value: unknown): string | undefined {
  return typeof value === 'string' && /^ *-?\d{1,12} *$/.test(value) ? String(Number(value)) : undefined;
}

/** One of `values`: by the word that others use for it, in other letters, or with a slip of the pen. */
export function meantChoice(
  value: unknown,
  values: readonly string[],
  aliases: { readonly [word: string]: string },
): string | undefined {
  if (typeof value !== 'string' && typeof value !== 'boolean' && typeof value !== 'number') return undefined;
  const word = String(value).trim().toLowerCase();
  const meant = values.find((known) => known === word) ?? (Object.hasOwn(aliases, word) ? aliases[word] : undefined);
  return meant === undefined ? undefined : `"${meant}"`;
}

/** The units of systemd, nginx, Go and English, each by the word's first letters. */
const TIMES: readonly (readonly [RegExp, string])[] = [
  [/^(ms|msecs?|millis(econds?)?|milliseconds?)$/i, 'ms'],
  [/^(|s|secs?|seconds?)$/i, 's'],
  [/^(m|mins?|minutes?)$/i, 'm'],
  [/^(h|hrs?|hours?)$/i, 'h'],
  [/^(d|days?)$/i, 'd'],
];

/** A number alone is taken for seconds. */
export function meantDuration(value: unknown): string | undefined {
  const [number, word] = numberAndWord(value) ?? [];
  const unit = TIMES.find(([words]) => word !== undefined && words.test(word))?.[1];
  return unit === undefined ? undefined : `"${number}${unit}"`;
}

/** One letter is a power of 1024, as with nginx, systemd and docker. */
export function meantSize(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const [number, word] = numberAndWord(value) ?? [];
  const [, letter = '', rest = ''] = /^([kmg]?)(i?b|)$/i.exec(word ?? '-') ?? [];
  if (number === undefined || (letter === '' && !/^b?$/i.test(word ?? '-'))) return undefined;
  if (letter === '') return number.includes('.') ? undefined : number;
  const upper = letter.toUpperCase();
  return rest.toLowerCase() === 'b' ? `"${number}${upper}B"` : `"${number}${upper}iB"`;
}

function numberAndWord(value: unknown): readonly [number: string, word: string] | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const match = /^ *(\d{1,12}(?:[.,]\d{1,6})?) *([A-Za-z]{0,12}) *$/.exec(String(value));
  return match?.[1] === undefined ? undefined : [match[1].replace(',', '.'), match[2] ?? ''];
}

/** An address to listen on: a port alone, a URL, a star, an address without a port or without brackets, the path of a socket. */
export function meantAddress(value: unknown): string | undefined {
  if (typeof value === 'number') return isPort(String(value)) ? `":${value}"` : undefined;
  if (typeof value !== 'string' || value.length > 300) return undefined;
  const text = value.trim().replace(/ +(ssl|tls|https?|http2|default_server)\b.*$/i, '');
  if (isPort(text)) return `":${text}"`;
  if (/^\/[!-~]+$/.test(text)) return `"unix:${text}"`;
  if (isIPv4(text)) return `"${text}:8080"`;
  const [, scheme = '', rest = ''] = /^(?:(https?|tcp|udp):\/\/)?([^/]*)\/?$/i.exec(text) ?? [];
  const usual = scheme === '' ? undefined : scheme.toLowerCase() === 'https' ? '443' : '80';
  const [, host = rest, port = usual] = /^(.*):(\d{1,5})$/.exec(rest) ?? [];
  const found = port !== undefined && isPort(port) ? withPort(host, port) : undefined;
  const bare = text.replace(/^\[(.*)\]$/, '$1');
  return found ?? SERVICES.get(text.toLowerCase()) ?? (isIPv6(bare) ? `"[${bare}]:8080"` : undefined);
}

/** Go and getservbyname(3) know ports by their names. */
const SERVICES: ReadonlyMap<string, string> = new Map([
  [':http', '":80"'],
  [':https', '":443"'],
  ['*:http', '":80"'],
  ['*:https', '":443"'],
  ['localhost', '"127.0.0.1:8080"'],
]);

function withPort(host: string, port: string): string | undefined {
  if (['', '*', '::', '[::]'].includes(host)) return `":${port}"`;
  if (host.toLowerCase() === 'localhost') return `"127.0.0.1:${port}"`;
  if (isIPv4(host)) return `"${host}:${port}"`;
  // The name of this machine, or of one of its interfaces: whoever writes it wants to be reached there.
  if (/^[A-Za-z][A-Za-z0-9.-]*$/.test(host)) return `":${port}"`;
  const bare = host.replace(/^\[|\]$/g, '');
  return isIPv6(bare) ? `"[${bare}]:${port}"` : undefined;
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) <= 65535;
}

/** The words of a line that needs no shell; undefined for one that has something in it that only a shell understands. */
export function plainWords(line: string): readonly string[] | undefined {
  const words = line.trim().split(/\s+/);
  return words[0] !== '' && words.every((word) => /^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) ? words : undefined;
}

/** The list for a command that was written as one line: its words, or a shell that runs it. */
export function meantCommand(line: string): string | undefined {
  if (line.trim() === '' || line.length > 200 || /[\x00-\x1f\x7f]/.test(line)) return undefined;
  const words = plainWords(line) ?? ['sh', '-c', line.trim()];
  return `[${words.map((word) => JSON.stringify(word)).join(', ')}]`;
}
