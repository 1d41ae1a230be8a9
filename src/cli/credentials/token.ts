/** `runnel token`: a new bearer token, and the line by which it is known again. */
import { createHash, randomBytes } from 'node:crypto';
import { CREDENTIAL_NAME } from '../../config/credentials.ts';
import { EXIT, UsageError, type Verb } from '../verb.ts';

export const token: Verb = {
  name: 'token',
  usage: 'runnel token NAME',
  brief: 'make a bearer token and its line for a token file',
  doc: `Makes a bearer token. It prints the token to stderr, only this once: give it to the client. It prints to stdout a line with
NAME and the SHA-256 of the token: append it to the file that auth.tokens names.

  runnel token dashboard >> tokens`,
  flags: {},
  words: 'names',
  async run({ words }) {
    const [name, ...more] = words;
    if (name === undefined || more.length > 0)
      throw new UsageError('runnel token needs one NAME, such as the name of the client: runnel token dashboard');
    if (!CREDENTIAL_NAME.test(name))
      throw new UsageError('NAME must not contain a colon or control characters, or begin with a space');
    const secret = randomBytes(32).toString('base64url');
    process.stderr.write(`the token (it is not shown again): ${secret}\n`);
    process.stdout.write(`${name}:${createHash('sha256').update(secret).digest('hex')}\n`);
    return EXIT.ok;
  },
};
