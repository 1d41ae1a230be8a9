/** The files of passwords and tokens: what their lines say, and what is wrong with them. Pure. */

export interface LineProblem {
  /** From 1. */
  readonly line: number;
  /** Completes "line 3: …", without a full stop. Never repeats anything secret. */
  readonly sentence: string;
}

export interface Credentials {
  /** Of a password file: name → bcrypt hash. Of a token file: SHA-256 in hexadecimal → name. */
  readonly entries: ReadonlyMap<string, string>;
  readonly problems: readonly LineProblem[];
}

/** `$2y$10$` and 22 characters of salt and 31 of hash; Apache writes 2y, others 2a and 2b, and all mean the same today. */
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const MIN_COST = 4;
/** 2^15 rounds take seconds on a large machine and minutes on a small one: nobody would get in. */
const MAX_COST = 15;
/** A name in these files: what is left of the colon, and may stand in a log line and in REMOTE_USER. */
export const CREDENTIAL_NAME = /^[^\x00-\x20:\x7f][^\x00-\x1f:\x7f]*$/;
const MAX_ENTRIES = 10_000;
const INSTEAD = 'make it with "htpasswd -B" or "runnel hash-password"';

/** An htpasswd file: `name:hash` lines; empty lines and those that begin with "#" are left out. */
export function parseHtpasswd(text: string): Credentials {
  return parseLines(text, (name, hash, entries) => {
    if (entries.has(name)) return 'the same name as in an earlier line';
    const trouble = hashTrouble(hash);
    if (trouble === undefined) entries.set(name, hash);
    return trouble;
  });
}

/** A token file: `name:sha256` lines, in hexadecimal. */
export function parseTokens(text: string): Credentials {
  return parseLines(text, (name, digest, entries) => {
    if (!/^[0-9A-Fa-f]{64}$/.test(digest))
      return 'not a SHA-256 in hexadecimal: "runnel token NAME" prints the line that belongs here';
    const lower = digest.toLowerCase();
    if (entries.has(lower)) return 'the same token as in an earlier line';
    entries.set(lower, name);
    return undefined;
  });
}

function parseLines(
  text: string,
  take: (name: string, rest: string, entries: Map<string, string>) => string | undefined,
): Credentials {
  const entries = new Map<string, string>();
  const problems: LineProblem[] = [];
  for (const [at, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '');
    if (line.trim() === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    let sentence: string | undefined;
    if (colon < 0) sentence = 'there is no ":" behind the name';
    else if (!CREDENTIAL_NAME.test(name))
      sentence = 'the name is empty, begins with a space, or has control characters';
    else if (entries.size >= MAX_ENTRIES) sentence = `more than ${MAX_ENTRIES} lines`;
    else sentence = take(name, line.slice(colon + 1).trimEnd(), entries);
    if (sentence !== undefined) problems.push({ line: at + 1, sentence });
  }
  return { entries, problems };
}

/** Why a hash is not good enough; undefined when it is. */
function hashTrouble(hash: string): string | undefined {
  const bcrypt = BCRYPT.exec(hash);
  if (bcrypt !== null) {
    const cost = Number(bcrypt[1]);
    if (cost < MIN_COST) return `bcrypt with a cost below ${MIN_COST}; ${INSTEAD}`;
    return cost > MAX_COST
      ? `bcrypt with a cost above ${MAX_COST}: checking one would take minutes; ${INSTEAD}`
      : undefined;
  }
  if (hash.startsWith('{SHA}')) return `SHA-1 without salt, which is guessed in no time; ${INSTEAD}`;
  if (hash.startsWith('$apr1$')) return `MD5 (apr1), which is guessed far too fast; ${INSTEAD}`;
  if (hash.startsWith('$2')) return `not a whole bcrypt hash; ${INSTEAD}`;
  if (/^\$(5|6|y|7|gy)\$/.test(hash)) return `the system's own kind of hash, which is not understood here; ${INSTEAD}`;
  return `neither bcrypt nor anything else that is safe to use; ${INSTEAD}`;
}
