/** Clock, descriptors, memory and kernel of this machine, against what the configuration lets happen. */
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { everyRoute } from '../../../gateway/config.ts';
import { memoryLimit } from '../../../ops/memory/limit.ts';
import { missingProc } from '../../../ops/system/proc.ts';
import { day } from '../../../tls/identity.ts';
import { wordsOf } from '../../service-unit.ts';
import type { Finding, Patient } from '../finding.ts';

const MIB = 1 << 20;
/** What the gateway takes itself, with its cache of files. */
const OWN_MEMORY = 40 * MIB;
/** A connection with its buffers, bytes, and descriptors of a program: stdin, stdout, stderr. */
const CONNECTION_MEMORY = 8 * 1024;
const FILES_OF_PROGRAM = 3;
/** Listeners, add-ons, log, files being read. */
const OWN_FILES = 100;

/** How this machine is asked, so that a test can answer. */
export interface MachineFacts {
  /** The text of a file; "" where there is none. */
  read(path: string): string;
  exists(path: string): boolean;
  /** Where a link leads, as it is written; "" where there is none. */
  link(path: string): string;
  /** When the program that runs was written, milliseconds since 1970. */
  readonly written: number;
}

export const THIS_MACHINE: MachineFacts = {
  read(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  },
  exists: existsSync,
  link(path) {
    try {
      return readlinkSync(path);
    } catch {
      return '';
    }
  },
  get written() {
    return statSync(process.execPath).mtimeMs;
  },
};

export function probeClock({ now }: Pick<Patient, 'now'>, facts = THIS_MACHINE): readonly Finding[] {
  if (now < facts.written - 86_400_000)
    return [
      {
        level: 'problem',
        about: 'clock',
        seen: `the clock says ${day(now)}, but this program was written on ${day(facts.written)}`,
        matters: 'certificates are not valid yet, so TLS fails on both sides; times in logs and caches are wrong',
        remedy:
          'set the clock ("timedatectl set-ntp true", "chronyd -q"); a board without a battery needs a time server at each start',
      },
    ];
  // systemd-timesyncd makes the folder when it starts, and the file when it has heard from a server.
  if (!facts.exists('/run/systemd/timesync') || facts.exists('/run/systemd/timesync/synchronized')) return [];
  return [
    {
      level: 'warning',
      about: 'clock',
      seen: 'no time server has set the clock since this machine was started',
      matters: 'certificates can seem to be over or not to be valid yet, and log lines have wrong times',
      remedy: 'see "timedatectl timesync-status": is the network up, and port 123 (UDP) open?',
    },
  ];
}

/** The zone of this machine, whose data may be missing: a small system has no tzdata. */
export function probeTimeZone(facts = THIS_MACHINE): readonly Finding[] {
  const data = '/etc/localtime';
  if (facts.exists(data)) return [];
  const zone = facts.link(data).replace(/^.*zoneinfo\//, '') || facts.read('/etc/timezone').trim();
  if (zone === '' || /^(Etc\/)?(UTC|UCT|GMT|Universal|Zulu)$/.test(zone)) return [];
  return [
    {
      level: 'warning',
      about: 'time zone',
      seen: `this machine is set to ${zone}, and has no data of that zone: ${data} leads nowhere`,
      matters: 'programs, and the log in the formats plain and combined, have the time of UTC',
      remedy: 'install tzdata, then set the zone again ("timedatectl set-timezone", or the link at /etc/localtime)',
    },
  ];
}

export function probeDescriptors({ config, pid, unit }: Patient, facts = THIS_MACHINE): readonly Finding[] {
  const { max } = config.connections;
  const needed = max + config.processes.max * FILES_OF_PROGRAM + OWN_FILES;
  const running = facts.read(pid === undefined ? '/proc/self/limits' : `/proc/${pid}/limits`);
  const given =
    unit === undefined || pid !== undefined ? undefined : wordsOf(unit, 'LimitNOFILE').at(-1)?.split(':')[0];
  const limit = Number(given ?? /^Max open files\s+(\d+)/m.exec(running)?.[1]);
  if (!(limit < needed)) return [];
  return [
    {
      level: 'warning',
      about: 'connections.max',
      seen: `${limit} files may be open at once, and ${max} connections with ${config.processes.max} programs need ${needed}`,
      matters: 'fewer connections are accepted than configured, and programs cannot be started when there are many',
      remedy: `set LimitNOFILE=${2 ** Math.ceil(Math.log2(needed))} in the unit (or "ulimit -n"), or lower connections.max`,
    },
  ];
}

export function probeMemory({ config }: Pick<Patient, 'config'>, facts = THIS_MACHINE): readonly Finding[] {
  const histories = everyRoute(config).reduce((sum, { route }) => sum + historyBytes(route), 0);
  const needed = OWN_MEMORY + histories + config.connections.max * CONNECTION_MEMORY;
  const limit = memoryLimit(facts.read) ?? Number.POSITIVE_INFINITY;
  const available = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(facts.read('/proc/meminfo'))?.[1] ?? Number.NaN) * 1024;
  const room = Math.min(limit, Number.isNaN(available) ? Number.POSITIVE_INFINITY : available);
  if (needed <= room) return [];
  const parts = `${mib(OWN_MEMORY)} itself, ${mib(histories)} for histories, ${mib(config.connections.max * CONNECTION_MEMORY)} for ${config.connections.max} connections`;
  return [
    {
      level: 'warning',
      about: 'memory',
      seen: `the gateway may need ${mib(needed)} (${parts}), without its programs; ${mib(room)} are free here${room === limit ? ' (a limit of its control group, or the machine)' : ''}`,
      matters: 'the kernel ends the gateway or one of its programs when memory runs out',
      remedy: 'lower connections.max and history.bytes, or raise the limit (MemoryMax= of the unit)',
    },
  ];
}

export function probeKernel(): readonly Finding[] {
  const missing = missingProc();
  if (missing === undefined) return [];
  return [
    {
      level: 'problem',
      about: 'kernel',
      seen: missing.split(':')[0] ?? missing,
      matters: 'files and programs are not served',
      remedy: 'mount it: mount -t proc proc /proc',
    },
  ];
}

function historyBytes(route: object): number {
  const history: unknown = Reflect.get(route, 'history');
  if (typeof history !== 'object' || history === null) return 0;
  const [messages, bytes]: unknown[] = [Reflect.get(history, 'messages'), Reflect.get(history, 'bytes')];
  return messages === 0 || typeof bytes !== 'number' ? 0 : bytes;
}

function mib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}
