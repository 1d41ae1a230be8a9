// A memory control group for a measurement, of version 2 where the machine has its memory controller there, else of version 1.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export class MemoryGroup {
  /** @param limit bytes, or undefined for none. */
  constructor(name, limit) {
    this.first = existsSync('/sys/fs/cgroup/memory');
    this.folder = join(this.first ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup', name);
    mkdirSync(this.folder, { recursive: true });
    // Also without a limit: the group may be one that a run which was ended has left.
    const none = this.first ? '-1' : 'max';
    writeFileSync(join(this.folder, this.first ? 'memory.limit_in_bytes' : 'memory.max'), String(limit ?? none));
  }

  /** A shell's line that enters the group and then goes on. */
  enter(then) {
    return `echo $$ >${join(this.folder, 'cgroup.procs')} && ${then}`;
  }

  /** Bytes, the page cache included. */
  figures() {
    const read = (file) => readFileSync(join(this.folder, file), 'utf8');
    const stat = read('memory.stat');
    const peak = this.first ? 'memory.max_usage_in_bytes' : 'memory.peak';
    return {
      peak: existsSync(join(this.folder, peak)) ? Number(read(peak)) : Number.NaN,
      now: Number(read(this.first ? 'memory.usage_in_bytes' : 'memory.current')),
      anonymous: Number((this.first ? /^rss (\d+)/m : /^anon (\d+)/m).exec(stat)?.[1]),
    };
  }

  /** When its last process has gone. */
  async remove() {
    for (let left = 200; ; left -= 1) {
      try {
        rmdirSync(this.folder);
        return;
      } catch (error) {
        if (left === 0) throw error;
        await delay(50);
      }
    }
  }
}
