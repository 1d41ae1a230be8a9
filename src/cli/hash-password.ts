/** `runnel hash-password`: a line for a password file. */
import { CREDENTIAL_NAME } from '../config/credentials.ts';
import { EXIT } from './exit.ts';
import { UsageError, type Verb } from './flags.ts';
import { readSecret } from './secret-input.ts';

/** 2^10 rounds: a tenth of a second here, a second on a small board. */
const USUAL_COST = 10;
/** Beyond these bcrypt does not look. */
const MAX_BYTES = 72;

export const hashPassword: Verb = {
  name: 'hash-password',
  usage: 'runnel hash-password [--cost N] [NAME]',
  brief: 'a line for a password file',
  doc: 'Asks for a password, or reads the first line of its input, and prints the bcrypt hash: with a NAME the whole line for the\nfile that auth.basic names.',
  flags: { cost: { value: 'N', doc: `2^N rounds, 4 to 15; ${USUAL_COST} without it` } },
  words: true,
  async run({ flags, words }) {
    const [name, ...more] = words;
    if (more.length > 0)
      throw new UsageError('runnel hash-password takes one NAME; the password is asked for, never given here');
    if (name !== undefined && !CREDENTIAL_NAME.test(name))
      throw new UsageError('a NAME has no colon, no control characters, and no space at its beginning');
    const cost = Number(flags['cost'] ?? USUAL_COST);
    if (!Number.isInteger(cost) || cost < 4 || cost > 15) throw new UsageError('--cost is a whole number from 4 to 15');
    const password = await readSecret('password');
    if (password === '') throw new UsageError('an empty password is none');
    if (Buffer.byteLength(password) > MAX_BYTES)
      throw new UsageError(`a password has at most ${MAX_BYTES} bytes: bcrypt would not look at the rest`);
    const { hash } = await import('bcryptjs');
    const line = await hash(password, cost);
    process.stdout.write(`${name === undefined ? '' : `${name}:`}${line}\n`);
    return EXIT.ok;
  },
};
