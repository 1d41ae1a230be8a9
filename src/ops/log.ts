/**
 * The log: lines to standard output, plain for a person or JSON for a machine. Lines of one turn of the event loop go out in one
 * write; what the reader of our standard output does not take is held to a bound, and then dropped and counted.
 */
import { write } from 'node:fs';

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = { readonly [key: string]: string | number | boolean | undefined };

const RANK: { readonly [level in Level]: number } = { debug: 0, info: 1, warn: 2, error: 3 };
const MAX_PENDING_BYTES = 1 << 20;
const RETRY_MILLISECONDS = 50;

export interface LogOptions {
  readonly format: 'plain' | 'json';
  readonly level: Level;
  /** Whether plain lines are coloured. */
  readonly colour: boolean;
  readonly descriptor: number;
}

export class Log {
  /** Lines that had to be dropped because nobody read the log. */
  dropped = 0;
  private pending: string[] = [];
  private pendingBytes = 0;
  private writing = false;
  private waiters: (() => void)[] = [];

  private level: Level;

  constructor(private readonly options: LogOptions) {
    this.level = options.level;
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
    this.line('warn', message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.line('error', message, fields);
  }

  /** Resolves when everything written so far has left the process, or cannot. */
  flush(): Promise<void> {
    if (!this.writing && this.pending.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  private line(level: Level, message: string, fields: LogFields | undefined): void {
    if (RANK[level] < RANK[this.level]) return;
    const text =
      this.options.format === 'json'
        ? jsonLine(level, message, fields)
        : plainLine(level, message, fields, this.options.colour);
    if (this.pendingBytes + text.length > MAX_PENDING_BYTES) {
      this.dropped++;
      return;
    }
    this.pending.push(text);
    this.pendingBytes += text.length;
    if (!this.writing) {
      this.writing = true;
      setImmediate(() => this.writeOut());
    }
  }

  private writeOut(): void {
    const bytes = Buffer.from(this.pending.join(''));
    this.pending = [];
    this.pendingBytes = 0;
    this.writeAll(bytes);
  }

  private writeAll(bytes: Buffer): void {
    write(this.options.descriptor, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.writeAll(bytes), RETRY_MILLISECONDS);
        return;
      }
      if (!error && written < bytes.length) return this.writeAll(bytes.subarray(written));
      // A log that cannot be written (disk full, reader gone) must not stop the gateway; the loss is counted.
      if (error) this.dropped++;
      if (this.pending.length > 0) return this.writeOut();
      this.writing = false;
      for (const waiter of this.waiters.splice(0)) waiter();
    });
  }
}

function jsonLine(level: Level, message: string, fields: LogFields | undefined): string {
  return `${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`;
}

const COLOURS: { readonly [level in Level]: string } = { debug: '2', info: '0', warn: '33', error: '31' };

function plainLine(level: Level, message: string, fields: LogFields | undefined, colour: boolean): string {
  const time = new Date().toISOString().slice(11, 23);
  let rest = '';
  for (const [key, value] of Object.entries(fields ?? {})) {
    if (value === undefined) continue;
    const text = String(value);
    rest += ` ${key}=${/^[^\s"=\x00-\x1f\x7f]+$/.test(text) ? text : JSON.stringify(text)}`;
  }
  const word = level.padEnd(5);
  const line = message.replaceAll(/[\x00-\x1f\x7f]/g, (byte) => JSON.stringify(byte).slice(1, -1));
  return colour
    ? `\x1b[2m${time}\x1b[0m \x1b[${COLOURS[level]}m${word}\x1b[0m ${line}\x1b[2m${rest}\x1b[0m\n`
    : `${time} ${word} ${line}${rest}\n`;
}
