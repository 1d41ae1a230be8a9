/** Reads a secret: from a pipe its first line, from a terminal what is typed, unseen and twice. Never from the command line. */
import type { ReadStream } from 'node:tty';
import { UsageError } from './flags.ts';

const CONTROL_C = '\u0003';
const CONTROL_D = '\u0004';

/** @param what the secret is called, as in "password" */
export async function readSecret(what: string): Promise<string> {
  if (process.stdin.isTTY !== true) return await firstLine();
  const first = await typed(process.stdin, `${what}: `);
  if ((await typed(process.stdin, 'once more: ')) !== first) throw new UsageError(`the two ${what}s are not the same`);
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
        if (key === CONTROL_C) over(() => reject(new UsageError('given up')));
        else if (key === '\r' || key === '\n' || key === CONTROL_D) over(() => resolve(text));
        else if (key === '\u007f' || key === '\b') text = Array.from(text).slice(0, -1).join('');
        else if (key >= ' ') text += key;
      }
    };
    terminal.on('data', take);
  });
}
