/** Which engines serve: those that are configured, or the best that can be loaded here. */
import { loadKoffi, loadUws } from '../ops/addons/addon.ts';
import type { Assets } from '../ops/assets.ts';
import { openDescriptors } from './descriptors.ts';
import { Door, type NativeParts } from './door/door.ts';
import type { Engine, EngineWish } from './engine.ts';

/** What its types leave out. */
interface Untyped {
  _cfg(setting: 'silent'): void;
}

export interface EngineChoice {
  readonly engine: Engine;
  /** Why it is Node's although uWebSockets.js would have been preferred: for one line of the log. */
  readonly fallback: string | undefined;
}

/**
 * `maxHeaderBytes` is the largest of all listeners: uWebSockets.js knows one for the whole process. Rejects when "uws" is asked for
 * and cannot be had.
 *
 * @param koffi the add-on's exports where it has been loaded already: in the single executable another one would be another copy of it
 */
export async function chooseEngine(
  wish: EngineWish,
  assets: Assets,
  maxHeaderBytes: number,
  koffi?: unknown,
): Promise<EngineChoice> {
  if (wish === 'node') return { engine: engineOf(wish, undefined), fallback: undefined };
  const native = await loadNative(assets, maxHeaderBytes, koffi);
  if (typeof native !== 'string') return { engine: engineOf(wish, native), fallback: undefined };
  if (wish === 'uws') throw new Error(native);
  return { engine: engineOf('node', undefined), fallback: native };
}

function engineOf(name: EngineWish, native: NativeParts | undefined): Engine {
  return {
    name,
    listen: (options, events, inPlaceOf) => new Door(name, native, options, events).listen(inPlaceOf),
  };
}

/** The reason, where it cannot be had. */
async function loadNative(assets: Assets, maxHeaderBytes: number, koffi: unknown): Promise<NativeParts | string> {
  let uws: NativeParts['uws'];
  try {
    uws = await loadUws(assets, maxHeaderBytes);
  } catch (error) {
    return `uWebSockets.js cannot be loaded: ${lastLine(error)}`;
  }
  try {
    // A TLS hello can have 16 KiB.
    const descriptors = openDescriptors(koffi ?? loadKoffi(assets), Math.max(maxHeaderBytes, 16 * 1024) + 1);
    (uws as unknown as Untyped)._cfg('silent');
    return { uws, descriptors };
  } catch (error) {
    return `koffi, which hands connections to uWebSockets.js, cannot be loaded: ${lastLine(error)}`;
  }
}

/** Of uWebSockets.js's own advice and the system's reason, the last line is the reason. */
function lastLine(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).trim().split('\n');
  return lines[lines.length - 1] ?? '';
}
