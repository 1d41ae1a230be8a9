/** As whom somebody has tried to sign in, for the log: what finds those who guess passwords goes by it. */
import { type HeaderList, headerValue } from '../../engine/engine.ts';

/** Characters of a name that are told. */
const MAX_NAME = 64;

/** The name of Basic credentials, or that there was a token; undefined where nobody has tried. */
export function attemptedName(headers: HeaderList): string | undefined {
  const [, scheme = '', proof = ''] = /^(\w+) +(\S+)/.exec(headerValue(headers, 'authorization') ?? '') ?? [];
  if (scheme.toLowerCase() === 'bearer') return '(token)';
  if (scheme.toLowerCase() !== 'basic') return undefined;
  const pair = Buffer.from(proof, 'base64').toString();
  const colon = pair.indexOf(':');
  // Without a colon it may be a password.
  return colon <= 0 ? '(invalid)' : pair.slice(0, Math.min(colon, MAX_NAME));
}
