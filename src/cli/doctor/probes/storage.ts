/** Where the gateway writes: room, and whether it is a disk at all. */
import { closeSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { everyRoute } from '../../../gateway/config.ts';
import { openUnnamedFileSync } from '../../../ops/system/unnamed-file.ts';
import type { Finding, Patient } from '../finding.ts';

const TMPFS = 0x01021994;
const MIB = 1 << 20;
const LEAST = { share: 0.05, bytes: 64 * MIB };

/** What statfs(2) says. Throws where there is nothing. */
export type LookAtFolder = (folder: string) => {
  readonly type: number;
  readonly bsize: number;
  readonly blocks: number;
  readonly bavail: number;
};

/** Whether a folder can be written, by a file that is gone at once: a root file system may be read-only. */
export function probeWriting(folder = tmpdir()): readonly Finding[] {
  try {
    closeSync(openUnnamedFileSync(folder));
    return [];
  } catch (error) {
    return [
      {
        level: 'problem',
        about: 'bodies of requests (TMPDIR)',
        seen: `nothing can be written in ${folder} (${error instanceof Error ? error.message : String(error)})`,
        matters: 'requests with a body that is not small are refused with 507',
        remedy: 'mount a tmpfs there, or set TMPDIR of the service to a folder that its user may write to',
      },
    ];
  }
}

export function probeStorage({ config }: Pick<Patient, 'config'>, look: LookAtFolder = statfsSync): readonly Finding[] {
  const spool = tmpdir();
  const folders = new Map<string, string>([[spool, 'bodies of requests (TMPDIR)']]);
  for (const file of filesIn(config.log)) folders.set(dirname(file), 'log');
  for (const { kind, key, route } of everyRoute(config))
    for (const file of filesIn(Reflect.get(route, 'history')))
      folders.set(dirname(file), `${kind.name}."${key}".history`);
  const findings: Finding[] = [];
  for (const [folder, about] of folders) {
    let found: ReturnType<LookAtFolder>;
    try {
      found = look(folder);
    } catch {
      continue;
    }
    const [all, free] = [found.blocks * found.bsize, found.bavail * found.bsize];
    if (all > 0 && (free < all * LEAST.share || free < Math.min(LEAST.bytes, all / 2)))
      findings.push({
        level: 'warning',
        about,
        seen: `${Math.floor(free / MIB)} of ${Math.floor(all / MIB)} MiB are free in ${folder}`,
        matters: 'what should be written there is refused or lost when it is full',
        remedy: 'make room, or name a folder on another file system',
      });
    const largest = Math.max(0, ...everyRoute(config).map(({ route }) => route.limits.body));
    if (folder === spool && found.type === TMPFS && largest > free / 4)
      findings.push({
        level: 'warning',
        about,
        seen: `${folder} is in memory (tmpfs) with ${Math.floor(free / MIB)} MiB free, and a request may have a body of ${Math.floor(largest / MIB)} MiB (limits.body)`,
        matters: 'a few uploads take the memory of everything else',
        remedy: 'set TMPDIR of the service to a folder on a disk, or lower limits.body',
      });
  }
  return findings;
}

/** The absolute paths in a part of the configuration that are files to be written. */
function filesIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]: [string, unknown]) => {
    if (typeof each === 'string') return /file$|^requests$/.test(key) && each.startsWith('/') ? [each] : [];
    return filesIn(each);
  });
}
