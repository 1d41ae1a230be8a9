/**
 * A name and a password for an upstream that asks for them: Digest where it offers that (RFC 7616, and RFC 2617 as cameras have it), else Basic
 * (RFC 7617). Nothing is sent before the upstream has asked, and after that with each request, so that it asks once.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { HeaderList } from '../engine/engine.ts';

type Parameters = ReadonlyMap<string, string>;

interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  readonly parameters: Parameters;
}

/** The hash of each algorithm that is understood, by its name in upper case without "-SESS". The better ones come first. */
const HASHES: ReadonlyMap<string, string> = new Map([
  ['SHA-256', 'sha256'],
  ['MD5', 'md5'],
]);

export class Login {
  private challenge: Challenge | undefined;
  private count = 0;

  constructor(
    private readonly name: string,
    private readonly password: string,
    private readonly random: () => string = () => randomBytes(16).toString('hex'),
  ) {}

  /** What Authorization says in the next request; undefined before the upstream has asked. */
  authorization(method: string, target: string): string | undefined {
    const { challenge } = this;
    if (challenge === undefined) return undefined;
    if (challenge.scheme === 'basic') return `Basic ${Buffer.from(`${this.name}:${this.password}`).toString('base64')}`;
    return this.digest(challenge.parameters, method, target);
  }

  /**
   * Takes what a 401 asks for. False: asking again makes no sense, because it asks for what is not understood, or has refused what it was given.
   *
   * @param sent what the request had said in Authorization
   */
  challenged(headers: HeaderList, sent: string | undefined): boolean {
    const before = sent === undefined ? undefined : this.challenge;
    const challenge = best(challengesIn(headers));
    if (challenge === undefined) return false;
    this.challenge = challenge;
    this.count = 0;
    if (before === undefined) return true;
    // A nonce ages, and dies with the camera that made it; not all that have one say that it is stale.
    if (challenge.scheme !== 'digest') return before.scheme === 'digest';
    const isStale = /^true$/i.test(challenge.parameters.get('stale') ?? '');
    return isStale || challenge.parameters.get('nonce') !== before.parameters.get('nonce');
  }

  private digest(parameters: Parameters, method: string, target: string): string {
    const realm = parameters.get('realm') ?? '';
    const nonce = parameters.get('nonce') ?? '';
    const opaque = parameters.get('opaque');
    const algorithm = parameters.get('algorithm');
    const hash = hashOf(parameters);
    const hasQop = parameters.has('qop');
    const cnonce = this.random();
    const nc = (++this.count).toString(16).padStart(8, '0');
    const secret = hash(`${this.name}:${realm}:${this.password}`);
    const first = isSession(parameters) ? hash(`${secret}:${nonce}:${cnonce}`) : secret;
    const second = hash(`${method}:${target}`);
    const response = hasQop
      ? hash(`${first}:${nonce}:${nc}:${cnonce}:auth:${second}`)
      : hash(`${first}:${nonce}:${second}`);
    const fields = [
      `username=${quoted(this.name)}`,
      `realm=${quoted(realm)}`,
      `nonce=${quoted(nonce)}`,
      `uri=${quoted(target)}`,
      `response="${response}"`,
      ...(algorithm === undefined ? [] : [`algorithm=${algorithm}`]),
      ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
      ...(hasQop ? ['qop=auth', `nc=${nc}`] : []),
      ...(hasQop || isSession(parameters) ? [`cnonce="${cnonce}"`] : []),
    ];
    // A request's fields have one character for each byte.
    return Buffer.from(`Digest ${fields.join(', ')}`).toString('latin1');
  }
}

/** `name:password` of a file: its first line. Undefined where there is no colon. */
export function parseLogin(text: string): Login | undefined {
  const line = text.replace(/\r?\n.*$/s, '');
  const colon = line.indexOf(':');
  return colon <= 0 ? undefined : new Login(line.slice(0, colon), line.slice(colon + 1));
}

/** The one that is answered: Digest by the best hash, then Basic. */
function best(challenges: readonly Challenge[]): Challenge | undefined {
  const digests = challenges.filter(
    ({ scheme, parameters }) =>
      scheme === 'digest' && parameters.has('nonce') && HASHES.has(algorithmOf(parameters)) && canAuth(parameters),
  );
  for (const name of HASHES.keys()) {
    const found = digests.find(({ parameters }) => algorithmOf(parameters) === name);
    if (found !== undefined) return found;
  }
  return challenges.find(({ scheme }) => scheme === 'basic');
}

function canAuth(parameters: Parameters): boolean {
  const qop = parameters.get('qop');
  return qop === undefined || qop.split(',').some((one) => one.trim().toLowerCase() === 'auth');
}

function algorithmOf(parameters: Parameters): string {
  return (parameters.get('algorithm') ?? 'MD5').toUpperCase().replace(/-SESS$/, '');
}

function isSession(parameters: Parameters): boolean {
  return /-sess$/i.test(parameters.get('algorithm') ?? '');
}

function hashOf(parameters: Parameters): (text: string) => string {
  const name = HASHES.get(algorithmOf(parameters)) ?? 'md5';
  return (text) => createHash(name).update(text).digest('hex');
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** One piece of WWW-Authenticate: a parameter, or the name of a scheme, which may have a first parameter or a token behind it. */
const PIECE = /[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/sy;

/** Those of all fields, in their order (RFC 9110 section 11.6.1). */
function challengesIn(headers: HeaderList): readonly Challenge[] {
  const challenges: { readonly scheme: string; readonly parameters: Map<string, string> }[] = [];
  for (const [name, value] of headers) {
    if (name !== 'www-authenticate') continue;
    const text = Buffer.from(value, 'latin1').toString();
    PIECE.lastIndex = 0;
    for (let match = PIECE.exec(text); match !== null; match = PIECE.exec(text)) {
      const [, word = '', inQuotes, plain] = match;
      const written = inQuotes?.replace(/\\(.)/gs, '$1') ?? plain;
      if (written === undefined) challenges.push({ scheme: word.toLowerCase(), parameters: new Map() });
      else challenges.at(-1)?.parameters.set(word.toLowerCase(), written);
    }
  }
  return challenges;
}
