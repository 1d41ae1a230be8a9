/**
 * What this process is and uses, under the names that Prometheus' own client libraries have for it. Read only when somebody asks: nothing
 * here watches, and no timer wakes the processor.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { residentBytes } from '../system/resident.ts';
import type { AnyFamily } from './exposition.ts';
import { label, openLabel } from './family.ts';
import { counter, gauge } from './tally.ts';

const OWN_PROC = '/proc/self';

export class ProcessFigures {
  private readonly cpu = counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time of the gateway itself, without its programs, user and system.',
    labels: [],
  });
  private readonly cpuUser = counter({
    name: 'process_cpu_user_seconds_total',
    help: 'Of that, the time in its own code.',
    labels: [],
  });
  private readonly cpuSystem = counter({
    name: 'process_cpu_system_seconds_total',
    help: 'Of that, the time in the kernel.',
    labels: [],
  });
  private readonly start = gauge({
    name: 'process_start_time_seconds',
    help: 'When the process was started, in seconds since 1970.',
    labels: [],
  });
  private readonly resident = gauge({
    name: 'process_resident_memory_bytes',
    help: 'Memory of the process that is in RAM, pages of its executable included, which the kernel can drop.',
    labels: [],
  });
  private readonly virtual = gauge({
    name: 'process_virtual_memory_bytes',
    help: 'Address space of the process. V8 reserves far more than it uses.',
    labels: [],
  });
  private readonly openFiles = gauge({
    name: 'process_open_fds',
    help: 'Open file descriptors.',
    labels: [],
  });
  private readonly mostFiles = gauge({
    name: 'process_max_fds',
    help: 'How many file descriptors may be open (RLIMIT_NOFILE).',
    labels: [],
  });
  private readonly lag = gauge({
    name: 'nodejs_eventloop_lag_seconds',
    help: 'How long what was due in the event loop had to wait, at the moment of the scrape.',
    labels: [],
  });
  private readonly loop = counter({
    name: 'nodejs_eventloop_time_seconds_total',
    help: 'Time of the event loop, by state. The share of active is how near one core the gateway is to its limit.',
    labels: [
      label('state', 'The state of the loop', { active: 'it runs code', idle: 'it waits for the network or a timer' }),
    ],
  });
  private readonly heapSize = gauge({
    name: 'nodejs_heap_size_total_bytes',
    help: 'Memory that V8 has taken for its heap.',
    labels: [],
  });
  private readonly heapUsed = gauge({
    name: 'nodejs_heap_size_used_bytes',
    help: 'Memory of the heap that is in use, garbage included until it is collected.',
    labels: [],
  });
  private readonly external = gauge({
    name: 'nodejs_external_memory_bytes',
    help: 'Memory outside of the heap that objects of the heap hold: buffers above all.',
    labels: [],
  });
  private readonly version = gauge({
    name: 'nodejs_version_info',
    help: 'The version of Node that runs, as a label; the value is 1.',
    labels: [openLabel('version', 'As Node names itself: "v22.22.0"')],
  });

  /** Takes them anew, and gives them. Resolves in the next turn of the event loop. */
  async read(): Promise<readonly AnyFamily[]> {
    const asked = performance.now();
    await new Promise(setImmediate);
    this.lag.set((performance.now() - asked) / 1000);
    const { user, system } = process.cpuUsage();
    this.cpuUser.set(user / 1e6);
    this.cpuSystem.set(system / 1e6);
    this.cpu.set((user + system) / 1e6);
    this.start.set(performance.timeOrigin / 1000);
    this.version.set(1, process.version);
    const heap = getHeapStatistics();
    this.heapSize.set(heap.total_heap_size);
    this.heapUsed.set(heap.used_heap_size);
    this.external.set(heap.external_memory);
    const { active, idle } = performance.eventLoopUtilization();
    this.loop.set(active / 1000, 'active');
    this.loop.set(idle / 1000, 'idle');
    // A family whose figure the system does not tell has no series.
    const resident = residentBytes();
    if (!Number.isNaN(resident)) this.resident.set(resident);
    const virtual = /^VmSize:\s+(\d+) kB$/m.exec(textOf('status'))?.[1];
    if (virtual !== undefined) this.virtual.set(Number(virtual) * 1024);
    const most = /^Max open files\s+(\d+|unlimited)/m.exec(textOf('limits'))?.[1];
    if (most !== undefined) this.mostFiles.set(most === 'unlimited' ? Number.POSITIVE_INFINITY : Number(most));
    const open = openDescriptors();
    if (open !== undefined) this.openFiles.set(open);
    return this.all();
  }

  /** All of them, with what was read last. */
  all(): readonly AnyFamily[] {
    return [
      ...[this.cpu, this.cpuUser, this.cpuSystem, this.start, this.resident, this.virtual],
      ...[this.openFiles, this.mostFiles, this.lag, this.loop],
      ...[this.heapSize, this.heapUsed, this.external, this.version],
    ];
  }
}

/** "" where there is no /proc, or it is closed to us. */
function textOf(name: string): string {
  try {
    return readFileSync(`${OWN_PROC}/${name}`, 'latin1');
  } catch {
    return '';
  }
}

/** Linux 6.2 says how many there are without listing them. */
function openDescriptors(): number | undefined {
  try {
    const { size } = statSync(`${OWN_PROC}/fd`);
    // Listing takes one, which is closed again.
    return size > 0 ? size : readdirSync(`${OWN_PROC}/fd`).length - 1;
  } catch {
    return undefined;
  }
}
