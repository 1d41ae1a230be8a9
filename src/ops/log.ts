/**
 * The log: lines to standard output or a file, to a syslog, and those of requests also to a file of their own. Whoever does not take them
 * does not hold the gateway up: lines wait to a bound, then are dropped and counted, and the log says how many were.
 */
import { LEVELS, type Level, type LogFields } from './logging/fields.ts';
import { complain, isJournal, journalPrefix } from './logging/journal.ts';
import { LineOutput, type LogOutput } from './logging/line-output.ts';
import { bareLine, jsonLine, plainLine } from './logging/lines.ts';
import {
  CombinedLines,
  type RequestFormat,
  type RequestRecord,
  requestFields,
  requestJson,
  requestMessage,
} from './logging/request-line.ts';
import type { SyslogEvents, SyslogOutput } from './logging/syslog.ts';
import { RecentTrouble } from './recent-trouble.ts';
import { visible } from './visible.ts';

export type { Level, LogFields } from './logging/fields.ts';

/** Makes a line of its own, without the line break; undefined: the log leaves it out. */
export type LineFormat = (level: Level, message: string, fields: LogFields) => string | undefined;

export interface LogOptions {
  readonly format: 'plain' | 'json' | LineFormat;
  readonly level: Level;
  /** Whether plain lines are coloured, and say of a request only what a person at a terminal wants to know. */
  readonly colour: boolean;
  /** Where lines go that go nowhere else. */
  readonly descriptor: number;
  /** Instead of the descriptor. */
  readonly file?: string | undefined;
  /** Instead of the descriptor, or beside the file. */
  readonly syslog?: { readonly name: string; open(events: SyslogEvents): SyslogOutput } | undefined;
  /** Where requests have a file of their own. */
  readonly requests?: { readonly file: string; readonly format: RequestFormat } | undefined;
}

/** One place where lines go, and their form there. */
interface Destination {
  readonly output: LogOutput;
  line(level: Level, message: string, fields: LogFields | undefined): string | undefined;
  request(record: RequestRecord): string | undefined;
}

const INFO = LEVELS.info.severity;
const DROPPED = 'log lines were dropped, because the log was not read in time or could not be written';

export class Log {
  /** The last warnings and errors, whether or not anybody reads the log. */
  readonly trouble = new RecentTrouble();
  private level: Level;
  /** Of everything. */
  private readonly destinations: readonly Destination[];
  private readonly files: LineOutput[] = [];
  private readonly syslog: SyslogOutput | undefined;
  private readonly ownRequests: Destination | undefined;

  /** Throws the system's error where a file cannot be opened. */
  constructor(private readonly options: LogOptions) {
    const { level, file, syslog, requests, descriptor } = options;
    this.level = level;
    const destinations: Destination[] = [];
    if (syslog !== undefined) {
      this.syslog = syslog.open({
        failing: (why) => this.lineElsewhere(this.syslog, 'warn', `lines for the syslog ${syslog.name} wait: ${why}`),
        recovered: (dropped) => {
          if (dropped > 0) this.warn(DROPPED, { dropped, log: syslog.name });
        },
      });
      destinations.push(this.syslogDestination(this.syslog));
    }
    if (file !== undefined) destinations.push(this.textDestination(this.openFile(file), false));
    else if (syslog === undefined)
      destinations.push(this.textDestination(this.openDescriptor(descriptor), isJournal(descriptor, process.env)));
    this.destinations = destinations;
    if (requests !== undefined) this.ownRequests = this.requestDestination(requests.file, requests.format);
  }

  /** Lines that had to be dropped because nobody read them, or a disk was full. */
  get dropped(): number {
    const own = this.ownRequests?.output.dropped ?? 0;
    return this.destinations.reduce((sum, { output }) => sum + output.dropped, own);
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

  /** The line of a request that is over: in the file of requests where there is one, else at level info. */
  request(record: RequestRecord): void {
    if (this.ownRequests !== undefined) {
      put(this.ownRequests, this.ownRequests.request(record), INFO);
      return;
    }
    if (LEVELS.info.rank < LEVELS[this.level].rank) return;
    for (const destination of this.destinations) put(destination, destination.request(record), INFO);
  }

  /** Whether requests are told where everything else is. */
  get hasRequests(): boolean {
    return this.ownRequests === undefined;
  }

  /** What a syslog behind a Unix socket needs. @param addon of FFI; undefined where it is not loaded */
  openSyslog(addon: unknown): void {
    this.syslog?.open(addon);
  }

  /** Writes to the files that have their names now: something has renamed the old ones. */
  reopen(): void {
    for (const file of this.files) {
      try {
        file.reopen();
      } catch (error) {
        this.error(`a file of the log cannot be opened again, and the old one is written to: ${inWords(error)}`);
      }
    }
  }

  /** Resolves when everything written so far has left the process, or cannot: nobody has read anything for a second. */
  async flush(): Promise<void> {
    const outputs = [...this.destinations, ...(this.ownRequests === undefined ? [] : [this.ownRequests])];
    await Promise.all(outputs.map(({ output }) => output.flush()));
  }

  private line(level: Level, message: string, fields: LogFields | undefined): void {
    const { rank, severity } = LEVELS[level];
    if (rank < LEVELS[this.level].rank) return;
    for (const destination of this.destinations) put(destination, destination.line(level, message, fields), severity);
  }

  /** About `output` itself, so not to it; where there is nothing else, to standard error. */
  private lineElsewhere(output: LogOutput | undefined, level: Level, message: string): void {
    const others = this.destinations?.filter((destination) => destination.output !== output) ?? [];
    if (others.length === 0) complain(`${visible(message)}\n`, level);
    for (const destination of others)
      put(destination, destination.line(level, message, undefined), LEVELS[level].severity);
  }

  // ---- destinations ----

  private openDescriptor(descriptor: number): LineOutput {
    return LineOutput.ofDescriptor(descriptor, { told: (dropped) => this.tellsDropped(dropped) });
  }

  private openFile(path: string): LineOutput {
    const output: LineOutput = LineOutput.ofFile(path, {
      told: (dropped) => this.tellsDropped(dropped),
      failing: (code) => this.lineElsewhere(output, 'error', `the log cannot be written to ${path}: ${code}`),
    });
    this.files.push(output);
    return output;
  }

  private tellsDropped(dropped: number): string | undefined {
    const line = this.destinations
      .find(({ output }) => output instanceof LineOutput)
      ?.line('warn', DROPPED, { dropped });
    return line === undefined ? undefined : `${line}\n`;
  }

  private textDestination(output: LineOutput, toJournal: boolean): Destination {
    const { format, colour } = this.options;
    const headed = (level: Level, line: string): string => (toJournal ? journalPrefix(level) + line : line);
    if (typeof format === 'function') {
      const line: Destination['line'] = (level, message, fields) => {
        const text = format(level, message, fields ?? {});
        return text === undefined ? undefined : headed(level, visible(text));
      };
      return { output, line, request: (record) => line('info', requestMessage(record), requestFields(record, true)) };
    }
    if (format === 'json')
      return {
        output,
        line: (level, message, fields) => headed(level, jsonLine(level, message, fields)),
        request: (record) => headed('info', requestJson(record, 'info', requestMessage(record))),
      };
    const line: Destination['line'] = (level, message, fields) =>
      headed(level, plainLine(level, message, fields, colour));
    return { output, line, request: (record) => line('info', requestMessage(record), requestFields(record, colour)) };
  }

  /** A syslog knows the time and the level. */
  private syslogDestination(output: SyslogOutput): Destination {
    if (this.options.format === 'json')
      return {
        output,
        line: jsonLine,
        request: (record) => requestJson(record, 'info', requestMessage(record)),
      };
    const line: Destination['line'] = (_level, message, fields) => bareLine(message, fields);
    return { output, line, request: (record) => line('info', requestMessage(record), requestFields(record, false)) };
  }

  private requestDestination(file: string, format: RequestFormat): Destination {
    const output = LineOutput.ofFile(file, {
      // A line of another form would be none for whoever reads the file.
      told: () => undefined,
      failing: (code) => this.error(`the log of requests cannot be written: ${code}`, { log: file }),
      recovered: (dropped) => this.warn(DROPPED, { dropped, log: file }),
    });
    this.files.push(output);
    const combined = new CombinedLines(format === 'combined+time');
    const line = () => undefined;
    if (format === 'json') return { output, line, request: (record) => requestJson(record) };
    if (format === 'plain')
      return {
        output,
        line,
        request: (record) => plainLine('info', requestMessage(record), requestFields(record, false), false),
      };
    return { output, line, request: (record) => combined.line(record, Date.now()) };
  }
}

function put({ output }: Destination, line: string | undefined, severity: number): void {
  if (line !== undefined) output.write(`${line}\n`, severity);
}

function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
