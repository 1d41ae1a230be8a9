/**
 * Loads the two native add-ons: uWebSockets.js and koffi. Each is an accelerator, so each caller has a plain Node way to
 * go when this throws. The add-ons are files of npm packages, or lie behind the single executable (`ops/assets.ts`).
 */

import type * as uWS from 'uWebSockets.js';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { dlopen } from 'node:process';
import type { Assets } from '../ops/assets.ts';

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
  const name = `linux-${process.arch}`;
  const folder = dirname(createRequire(import.meta.url).resolve(`@koromix/koffi-${name}`));
  return dlopenFile(join(folder, name.replace('-', '_'), 'koffi.node'));
}

function dlopenFile(path: string): unknown {
  const loaded: { exports: unknown } = { exports: {} };
  dlopen(loaded, path);
  return loaded.exports;
}

function dlopenAsset(assets: Assets, name: string): unknown {
  throw new Error(`${name} cannot be loaded from the executable yet (${assets.single})`);
}
