/**
 * The log: lines to standard output, plain for a person or JSON for a machine. Lines of one turn of the event loop go out in one
 * write; what the reader of our standard output does not take is held to a bound, then dropped and counted, and the log says how many were.
 */
import { write } from 'node:fs';
import { RecentTrouble } from './recent-trouble.ts';
import { type NonblockingOutput, nonblockingOutput } from './system/nonblocking.ts';
import { visible } from './visible.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = { readonly [key: string]: string | number | boolean | undefined };

const RANK: { readonly [level in Level]: number } = { debug: 0, info: 1, warn: 2, error: 3 };
/** Bytes that wait behind those that are being written, which may be as many again. */
const MAX_PENDING_BYTES = 1 << 20;
/** Milliseconds between two attempts: twice as long each time while nobody reads. */
const RETRY = { first: 2, last: 50 };
/** Milliseconds that `flush` waits while nothing is taken. */
const FLUSH_PATIENCE = 1000;
const NEWLINE = 0x0a;

/** Makes a line of its own, without the line break; undefined: the log leaves it out. */
export type LineFormat = (level: Level, message: string, fields: LogFields) => string | undefined;

export interface LogOptions {
  readonly format: 'plain' | 'json' | LineFormat;
  readonly level: Level;
  /** Whether plain lines are coloured. */
  readonly colour: boolean;
  readonly descriptor: number;
}

export class Log {
  /** Lines that had to be dropped because nobody read the log. */
  dropped = 0;
  /** The last warnings and errors, whether or not anybody reads the log. */
  readonly trouble = new RecentTrouble();
  /** Those of them that the log has not told yet. */
  private untold = 0;
  private pending: string[] = [];
  private pendingBytes = 0;
  private writing = false;
  private waiters: (() => void)[] = [];
  /** When the reader last took something, by `performance.now`. */
  private progress = 0;
  private retry = RETRY.first;
  private readonly output: NonblockingOutput;
  private level: Level;

  constructor(private readonly options: LogOptions) {
    this.level = options.level;
    this.output = nonblockingOutput(options.descriptor);
  }

  /** Another level from now on. */
  setLevel(level: Level): void {
    this.level = level;
  }

  debug(message: string, fields?: LogFields): void {
    this.line('debug', message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.line('info', message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.trouble.add('warn', message, fields);
    this.line('warn', message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.trouble.add('error', message, fields);
    this.line('error', message, fields);
  }

  /** Resolves when everything written so far has left the process, or cannot: nobody has read anything for a second. */
  flush(): Promise<void> {
    if (!this.writing) return Promise.resolve();
    const from = performance.now();
    return new Promise((resolve) => {
      const look = setInterval(() => {
        if (performance.now() - Math.max(from, this.progress) > FLUSH_PATIENCE) done();
      }, RETRY.last);
      const done = (): void => {
        clearInterval(look);
        resolve();
      };
      this.waiters.push(done);
    });
  }

  private line(level: Level, message: string, fields: LogFields | undefined): void {
    if (RANK[level] < RANK[this.level]) return;
    const text = this.format(level, message, fields);
    if (text === undefined) return;
    const bytes = Buffer.byteLength(text);
    if (this.pendingBytes + bytes > MAX_PENDING_BYTES) {
      this.drop(1);
      return;
    }
    this.pending.push(text);
    this.pendingBytes += bytes;
    if (!this.writing) {
      this.writing = true;
      setImmediate(() => this.writeOut());
    }
  }

  private format(level: Level, message: string, fields: LogFields | undefined): string | undefined {
    const { format, colour } = this.options;
    if (typeof format === 'function') {
      const line = format(level, message, fields ?? {});
      return line === undefined ? undefined : `${visible(line)}\n`;
    }
    return format === 'json' ? jsonLine(level, message, fields) : plainLine(level, message, fields, colour);
  }

  private drop(lines: number): void {
    this.dropped += lines;
    this.untold += lines;
  }

  private writeOut(): void {
    const { untold } = this;
    this.untold = 0;
    if (untold > 0) {
      const message = 'log lines were dropped, because the log was not read in time or could not be written';
      this.pending.push(this.format('warn', message, { dropped: untold }) ?? '');
    }
    const bytes = Buffer.from(this.pending.join(''));
    this.pending = [];
    this.pendingBytes = 0;
    this.writeAll(bytes, untold);
  }

  /** @param told how many dropped lines these bytes tell of. */
  private writeAll(bytes: Buffer, told: number): void {
    write(this.output.descriptor, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.writeAll(bytes, told), this.retry);
        this.retry = Math.min(this.retry * 2, RETRY.last);
        return;
      }
      this.retry = RETRY.first;
      if (error) {
        // A log that cannot be written (disk full, reader gone) must not stop the gateway; the loss is counted, and told when it can be.
        this.drop(bytes.reduce((lines, byte) => lines + (byte === NEWLINE ? 1 : 0), 0) - (told > 0 ? 1 : 0));
        this.untold += told;
      } else {
        this.progress = performance.now();
        if (written < bytes.length) return this.writeAll(bytes.subarray(written), told);
      }
      if (this.pending.length > 0) return this.writeOut();
      this.writing = false;
      for (const waiter of this.waiters.splice(0)) waiter();
    });
  }
}

function jsonLine(level: Level, message: string, fields: LogFields | undefined): string {
  // Of what is escaped here nothing stands outside of strings, and JSON has the same notation.
  return `${visible(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }))}\n`;
}

const COLOURS: { readonly [level in Level]: string } = { debug: '2', info: '0', warn: '33', error: '31' };

function plainLine(level: Level, message: string, fields: LogFields | undefined, colour: boolean): string {
  const time = new Date().toISOString().slice(11, 23);
  let rest = '';
  for (const [key, value] of Object.entries(fields ?? {})) {
    if (value === undefined) continue;
    const text = String(value);
    rest += ` ${key}=${visible(/^[^\s"=\x00-\x1f\x7f]+$/.test(text) ? text : JSON.stringify(text))}`;
  }
  const word = level.padEnd(5);
  const line = visible(message);
  return colour
    ? `\x1b[2m${time}\x1b[0m \x1b[${COLOURS[level]}m${word}\x1b[0m ${line}\x1b[2m${rest}\x1b[0m\n`
    : `${time} ${word} ${line}${rest}\n`;
}
