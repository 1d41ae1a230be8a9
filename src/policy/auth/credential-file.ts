/** A file of passwords or tokens, read again when it has changed. */
import { readFileSync, statSync } from 'node:fs';
import type { Credentials } from '../../config/credentials.ts';
import type { Log } from '../../ops/log.ts';

/** For how long a look at the file holds, milliseconds. */
const FRESH = 2000;

export class CredentialFile {
  private entries: ReadonlyMap<string, string> = new Map();
  private lookedAt = Number.NEGATIVE_INFINITY;
  /** What the file's state was when it was read: changes with every kind of writing. */
  private seen = '';
  private trouble = '';

  constructor(
    private readonly path: string,
    private readonly parse: (text: string) => Credentials,
    private readonly log: Log,
  ) {}

  /** What it says now, or said two seconds ago. A file that cannot be read any more goes on meaning what it meant. */
  current(now: number): ReadonlyMap<string, string> {
    if (now - this.lookedAt < FRESH) return this.entries;
    this.lookedAt = now;
    try {
      const { ino, size, mtimeMs, ctimeMs } = statSync(this.path);
      const state = [ino, size, mtimeMs, ctimeMs].join(' ');
      if (state === this.seen) return this.entries;
      const { entries, problems } = this.parse(readFileSync(this.path, 'utf8'));
      this.entries = entries;
      this.seen = state;
      this.trouble = '';
      for (const { line, sentence } of problems)
        this.log.warn(`${this.path}: line ${line} is ignored: ${sentence}`, { entries: entries.size });
    } catch (error) {
      const trouble = error instanceof Error ? error.message : String(error);
      if (trouble !== this.trouble)
        this.log.error(`${this.path} cannot be read; the entries that were read before stay in force`, {
          error: trouble,
        });
      this.trouble = trouble;
    }
    return this.entries;
  }
}
