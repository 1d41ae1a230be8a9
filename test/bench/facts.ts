/** What the machine is: without it no figure means anything. */
import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem } from 'node:os';

export function machineFacts(): string {
  const [cpu] = cpus();
  const date = new Date().toISOString().slice(0, 10);
  const load = loadavg()[0]?.toFixed(2);
  const gib = (totalmem() / 2 ** 30).toFixed(1);
  return `${date}; ${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}, ${arch()}), ${gib} GiB; Linux ${release()}, ${distribution()}; Node ${process.versions.node}; load average at the start ${load}`;
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown distribution';
  } catch {
    return 'unknown distribution';
  }
}
