/** How much memory the gateway may use: the machine's, or less where a control group (a container, a service) has a limit. */
import { readFileSync } from 'node:fs';

type Read = (path: string) => string;

/** Bytes; undefined where neither /proc nor /sys says. */
export function memoryLimit(read: Read = (path) => readFileSync(path, 'utf8')): number | undefined {
  const attempt = (path: string): string => {
    try {
      return read(path);
    } catch {
      // Not there, or hidden from us: then it limits nothing that we know of.
      return '';
    }
  };
  const machine = Number(/^MemTotal:\s+(\d+) kB$/m.exec(attempt('/proc/meminfo'))?.[1] ?? Number.NaN) * 1024;
  const groups = groupFiles(attempt('/proc/self/cgroup')).map((path) => parseLimit(attempt(path)));
  const limits = [machine, ...groups].filter((limit) => Number.isFinite(limit));
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/**
 * The files that hold the limits of our memory group and of those above it (cgroups(7)): `0::/path` is version 2,
 * `4:memory:/path` version 1. A container sees its own group as the root, whatever the path says.
 */
export function groupFiles(groups: string): string[] {
  const files: string[] = [];
  for (const line of groups.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === '') files.push(...upwards('/sys/fs/cgroup', path, 'memory.max'));
    else if (controllers?.split(',').includes('memory'))
      files.push(...upwards('/sys/fs/cgroup/memory', path, 'memory.limit_in_bytes'));
  }
  return files;
}

function upwards(mount: string, path: string, file: string): string[] {
  const names = path.split('/').filter((name) => name !== '');
  return Array.from({ length: names.length + 1 }, (_, above) =>
    [mount, ...names.slice(0, names.length - above), file].join('/'),
  );
}

/** Version 2 says "max" for none, version 1 a number larger than any memory. */
function parseLimit(text: string): number {
  return /^\d+\n?$/.test(text) ? Number(text) : Number.NaN;
}
