/** `runnel hash-password`: a line for a password file. */
import type { ReadStream } from 'node:tty';
import { CREDENTIAL_NAME } from '../../config/credentials.ts';
import { EXIT, UsageError, type Verb } from '../verb.ts';

/** 2^10 rounds: a tenth of a second here, a second on a small board. */
const USUAL_COST = 10;
/** bcrypt ignores what follows them. */
const MAX_BYTES = 72;
const CONTROL_C = '\u0003';
const CONTROL_D = '\u0004';

export const hashPassword: Verb = {
  name: 'hash-password',
  usage: 'runnel hash-password [--cost N] [NAME]',
  brief: 'make a line for a password file',
  doc: `Asks for a password and prints its bcrypt hash. With NAME it prints a whole line for the file that auth.basic names. If the
input is not a terminal, the first line of the input is the password.`,
  flags: { cost: { value: 'N', doc: `2^N rounds of bcrypt, N from 4 to 15 (default ${USUAL_COST})` } },
  words: 'names',
  async run({ flags, words }) {
    const [name, ...more] = words;
    if (more.length > 0)
      throw new UsageError('runnel hash-password takes one NAME; do not give the password here, you are asked for it');
    if (name !== undefined && !CREDENTIAL_NAME.test(name))
      throw new UsageError('NAME must not contain a colon or control characters, or begin with a space');
    const cost = Number(flags['cost'] ?? USUAL_COST);
    if (!Number.isInteger(cost) || cost < 4 || cost > 15)
      throw new UsageError('--cost must be a whole number from 4 to 15');
    const password = await readPassword();
    if (password === '') throw new UsageError('the password is empty');
    if (Buffer.byteLength(password) > MAX_BYTES)
      throw new UsageError(
        `the password is longer than ${MAX_BYTES} bytes; bcrypt ignores the rest, so use a shorter one`,
      );
    const { hash } = await import('bcryptjs');
    const line = await hash(password, cost);
    process.stdout.write(`${name === undefined ? '' : `${name}:`}${line}\n`);
    return EXIT.ok;
  },
};

/** From a pipe its first line, from a terminal what is typed, unseen and twice. Never from the command line. */
async function readPassword(): Promise<string> {
  if (process.stdin.isTTY !== true) return await firstLine();
  const first = await typed(process.stdin, 'password: ');
  if ((await typed(process.stdin, 'the same password again: ')) !== first)
    throw new UsageError('the two passwords differ');
  return first;
}

async function firstLine(): Promise<string> {
  const { createInterface } = await import('node:readline');
  for await (const line of createInterface({ input: process.stdin })) return line;
  return '';
}

function typed(terminal: ReadStream, prompt: string): Promise<string> {
  process.stderr.write(prompt);
  terminal.setRawMode(true);
  terminal.setEncoding('utf8');
  terminal.resume();
  return new Promise((resolve, reject) => {
    let text = '';
    const over = (settle: () => void): void => {
      terminal.off('data', take);
      terminal.setRawMode(false);
      terminal.pause();
      process.stderr.write('\n');
      settle();
    };
    const take = (keys: string): void => {
      for (const key of keys) {
        if (key === CONTROL_C) over(() => reject(new UsageError('canceled')));
        else if (key === '\r' || key === '\n' || key === CONTROL_D) over(() => resolve(text));
        else if (key === '\u007f' || key === '\b') text = Array.from(text).slice(0, -1).join('');
        else if (key >= ' ') text += key;
      }
    };
    terminal.on('data', take);
  });
}
