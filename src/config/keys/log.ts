/** The keys about the log: what is written, in which form, and where. */
import { writableFile } from '../values/on-disk.ts';
import { parseRemote } from '../values/remote.ts';
import { boolean, choice, duration, integer, logLevel } from '../values/simple.ts';
import { needs, shortOr, table } from '../values/tables.ts';
import { optional, preset, type ValueType } from '../values/value.ts';

/** A syslog that reads our lines. */
export type SyslogTarget =
  | { readonly kind: 'unix'; readonly path: string; readonly text: string }
  | { readonly kind: 'udp' | 'tcp'; readonly host: string; readonly port: number; readonly text: string };

const syslog: ValueType<SyslogTarget> = {
  expected: 'a syslog, such as "unix:/dev/log", "udp://192.168.1.5:514" or "tcp://192.168.1.5:601"',
  json: { type: 'string', pattern: '^(unix:.+|(udp|tcp)://.+:[0-9]{1,5})$' },
  read(value, at, reading) {
    const isUdp = typeof value === 'string' && value.startsWith('udp://');
    const parsed =
      typeof value === 'string' ? parseRemote(value.replace(/^udp:/, 'tcp:'), reading.directory) : undefined;
    if (parsed === undefined || typeof value !== 'string') {
      reading.wrong(at, value, this.expected);
      return undefined;
    }
    if (parsed.kind === 'unix') return parsed;
    return { kind: isUdp ? 'udp' : 'tcp', host: parsed.host, port: parsed.port, text: value };
  },
};

const requests = shortOr(
  boolean,
  table(
    {
      enabled: preset(boolean, true, 'Whether requests get lines. "requests = false" is short for this.'),
      file: optional(
        writableFile,
        'A file for the lines of requests alone, which are then nowhere else. It is opened again at the signal USR1.',
      ),
      format: preset(
        choice('combined', 'combined+time', 'json', 'plain'),
        'combined',
        'The format of the lines in `file`: "combined" as in Apache and nginx, "combined+time" followed by the duration in microseconds (Apache\'s %D), JSON, or plain.',
      ),
      sample: preset(
        integer({ min: 1, max: 1_000_000 }),
        1,
        'Of how many healthy requests one gets a line. Errors, slow and broken ones always get theirs. The lines that are left out are counted by /metrics.',
      ),
      slow: preset(
        duration('1ms', '1h'),
        '1s',
        'With `sample`: from which time on a request is slow, and so gets a line in any case.',
      ),
    },
    needs('file', 'format'),
  ),
  (enabled) => ({ enabled }),
);

export const log = table(
  {
    format: preset(
      choice('auto', 'plain', 'json'),
      'auto',
      '"auto" is plain on a terminal and for a syslog, and JSON otherwise.',
    ),
    level: preset(
      logLevel,
      'info',
      'The least important level that is written. The journal of systemd and a syslog are told the level of each line.',
    ),
    file: optional(
      writableFile,
      'A file that is written to instead of standard output. It is opened again at the signal USR1.',
    ),
    syslog: optional(
      syslog,
      'A syslog that gets the lines instead of standard output, or beside `file`: "unix:/dev/log", or one in the network by "udp://HOST:PORT" or "tcp://HOST:PORT".',
    ),
    requests: preset(requests, true, 'Whether each request gets a line, and where and how.'),
  },
  undefined,
  'log = { level = "debug" }',
);
