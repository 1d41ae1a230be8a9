/**
 * Loads the two native add-ons: uWebSockets.js and koffi. Each is an accelerator, so each caller has a plain Node way to
 * go when this throws. The add-ons are files of npm packages, or lie behind the single executable (`ops/assets.ts`).
 */

import type * as uWS from 'uWebSockets.js';
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { dlopen } from 'node:process';
import type { Assets } from '../assets.ts';
import { openUnnamedFileSync } from '../system/unnamed-file.ts';
import { systemCode } from '../system-errors.ts';
import { codeDirectories } from './code-directories.ts';
import { readMounts, refusesCode } from './mounts.ts';

export type UwsModule = typeof uWS;

/** uWebSockets.js. `maxHeaderBytes` is read by it once, at load. Rejects with the reason when it cannot be loaded here. */
export async function loadUws(assets: Assets, maxHeaderBytes: number): Promise<UwsModule> {
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] = String(maxHeaderBytes);
  if (assets.single) return dlopenAsset(assets, 'uws.node') as UwsModule;
  return await import('uWebSockets.js');
}

/**
 * koffi's own add-on, without the JavaScript around it (that would cost 3 MB more of memory for what is not used here).
 * Throws with the reason when it cannot be loaded here.
 */
export function loadKoffi(assets: Assets): unknown {
  if (assets.single) return dlopenAsset(assets, 'koffi.node');
  // The package of 32 bits has another name than its folder.
  const folder = `linux_${process.arch === 'arm' ? 'armhf' : process.arch}`;
  return dlopenFile(join(packageFolder(`@koromix/koffi-linux-${process.arch}`), folder, 'koffi.node'));
}

/** Of an optional package: npm leaves it out where there is none for the processor. Throws when it is not installed. */
function packageFolder(name: string): string {
  try {
    return dirname(createRequire(import.meta.url).resolve(name));
  } catch (cause) {
    throw new Error(`the npm package ${name} is not installed`, { cause });
  }
}

function dlopenFile(path: string): unknown {
  const loaded: { exports: unknown } = { exports: {} };
  dlopen(loaded, path);
  return loaded.exports;
}

/**
 * Loads an add-on out of the single executable: through an unnamed file, so that nothing in a shared folder can be guessed or
 * replaced and nothing is left behind. Throws with what was tried when no folder may hold code.
 */
function dlopenAsset(assets: Assets, name: string): unknown {
  const mounts = readMounts();
  const tried: string[] = [];
  for (const directory of codeDirectories(process.env, process.execPath)) {
    // Asked beforehand, because a dlopen that failed pins its copy: 7 MB of memory on a tmpfs.
    const refusal = refusesCode(mounts, directory);
    if (refusal !== undefined) {
      tried.push(`${directory} (${refusal})`);
      continue;
    }
    try {
      return dlopenIn(directory, assets, name);
    } catch (error) {
      if (!isAboutTheFolder(error)) throw error;
      tried.push(`${directory} (${error.message})`);
    }
  }
  const list = tried.length === 0 ? 'no folder, because none exists' : tried.join(', ');
  throw new Error(
    `${name} needs a folder that can be written and is not mounted noexec; tried ${list}; set RUNNEL_TMP to such a folder`,
  );
}

function dlopenIn(directory: string, assets: Assets, name: string): unknown {
  const descriptor = openUnnamedFileSync(directory);
  try {
    const place = assets.copy(name, descriptor);
    // glibc compares the paths of libraries as text: a second add-on that met the same descriptor number would answer with
    // the first library. So each asset has a spelling of its own.
    return dlopenFile(`/proc/self/fd/${'./'.repeat(place)}${descriptor}`);
  } finally {
    closeSync(descriptor);
  }
}

/** Whether another folder may do better: the system refused this one (full, not allowed), or mapping code from it. */
function isAboutTheFolder(error: unknown): error is Error {
  const code = systemCode(error);
  if (!(error instanceof Error) || code === undefined) return false;
  return code !== 'ERR_DLOPEN_FAILED' || error.message.includes('failed to map segment');
}
