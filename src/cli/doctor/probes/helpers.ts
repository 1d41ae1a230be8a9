/** What makes the gateway fast and is not Node's: the add-ons, and the starter of programs. Without them it works, and takes more of the processor. */
import { loadUws } from '../../../ops/addons/addon.ts';
import { type Assets, openAssets } from '../../../ops/assets.ts';
import { chooseSpawner } from '../../../process/spawner.ts';
import type { Finding, Patient } from '../finding.ts';

const REMEDY =
  'use the executable for this machine (uname -m); where its folders are read-only or mounted noexec, set RUNNEL_TMP to one that can be written and may hold code';

/** @param assets what to load them from, for a test */
export async function probeHelpers(
  { config }: Pick<Patient, 'config'>,
  assets: Assets = openAssets(),
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const { reason, addon } = chooseSpawner(assets, config.processes.spawner, () => undefined);
  if (reason !== undefined)
    findings.push({
      ...{ level: 'warning', about: 'processes.spawner', seen: reason },
      matters:
        addon === undefined
          ? 'programs start more slowly, files are not sent by the kernel, memory is not given back, and the door knows less of its connections'
          : 'programs start more slowly',
      remedy: REMEDY,
    });
  if (config.listen.every(({ engine }) => engine === 'node')) return findings;
  try {
    await loadUws(assets, config.connections.header_bytes);
  } catch (error) {
    findings.push({
      ...{ level: 'warning', about: 'listen.engine' },
      seen: `uWebSockets.js cannot be loaded, so Node serves everything: ${error instanceof Error ? error.message : String(error)}`,
      matters: 'a request and a viewer take several times the processor time and the memory',
      remedy: REMEDY,
    });
  }
  return findings;
}
