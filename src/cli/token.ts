/** `runnel token`: a new bearer token, and the line by which it is known again. */
import { createHash, randomBytes } from 'node:crypto';
import { CREDENTIAL_NAME } from '../config/credentials.ts';
import { EXIT } from './exit.ts';
import { UsageError, type Verb } from './flags.ts';

export const token: Verb = {
  name: 'token',
  usage: 'runnel token NAME',
  brief: 'a new bearer token, and its line for a token file',
  doc: 'Prints a new token, once and to stderr, for whoever shall use it; and to stdout the line for the file that auth.tokens names,\nfrom which nobody can get the token back:\n\n  runnel token dashboard >> tokens',
  flags: {},
  words: true,
  async run({ words }) {
    const [name, ...more] = words;
    if (name === undefined || more.length > 0) throw new UsageError('runnel token needs one NAME: whose token it is');
    if (!CREDENTIAL_NAME.test(name))
      throw new UsageError('a NAME has no colon, no control characters, and no space at its beginning');
    const secret = randomBytes(32).toString('base64url');
    process.stderr.write(`the token, shown only now: ${secret}\n`);
    process.stdout.write(`${name}:${createHash('sha256').update(secret).digest('hex')}\n`);
    return EXIT.ok;
  },
};
