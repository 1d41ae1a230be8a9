/** Whether an output is the journal of systemd, which reads the importance of a line from what stands in front of it (sd-daemon(3)). */
import { fstatSync } from 'node:fs';
import { LEVELS, type Level } from './fields.ts';

type Environment = { readonly [name: string]: string | undefined };

/** JOURNAL_STREAM names the output that systemd has made (systemd.exec(5)): it is inherited, so an output of somebody else's is told apart by it. */
export function isJournal(descriptor: number, { JOURNAL_STREAM: stream }: Environment): boolean {
  const [, device, inode] = /^(\d+):(\d+)$/.exec(stream ?? '') ?? [];
  if (device === undefined) return false;
  try {
    const stat = fstatSync(descriptor, { bigint: true });
    return String(stat.dev) === device && String(stat.ino) === inode;
  } catch {
    // Closed.
    return false;
  }
}

export function journalPrefix(level: Level): string {
  return `<${LEVELS[level].severity}>`;
}

/** Text for people on standard error, line by line with its importance where the journal reads it. */
export function complain(text: string, level: Level): void {
  const prefix = isJournal(2, process.env) ? journalPrefix(level) : '';
  process.stderr.write(prefix === '' ? text : text.replaceAll(/^(?=.)/gm, prefix));
}
