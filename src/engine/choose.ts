/** Which engine serves: the one that is configured, or the best that can be loaded here. */
import type { Assets } from '../ops/assets.ts';
import type { Engine } from './engine.ts';
import { uwsEngine } from './uws/uws.ts';

export interface EngineChoice {
  readonly engine: Engine;
  /** Why it is Node's although uWebSockets.js would have been preferred: for one line of the log. */
  readonly fallback: string | undefined;
}

/**
 * `maxHeaderBytes` is the largest of all listeners: uWebSockets.js knows one for the whole process. Rejects when "uws" is asked for
 * and cannot be loaded.
 */
export async function chooseEngine(
  wanted: 'auto' | 'uws' | 'node',
  assets: Assets,
  maxHeaderBytes: number,
): Promise<EngineChoice> {
  if (wanted === 'node') return { engine: await nodeEngine(), fallback: undefined };
  try {
    return { engine: await uwsEngine(assets, maxHeaderBytes), fallback: undefined };
  } catch (error) {
    const reason = `uWebSockets.js cannot be loaded: ${lastLine(error)}`;
    if (wanted === 'uws') throw new Error(reason, { cause: error });
    return { engine: await nodeEngine(), fallback: reason };
  }
}

/** Loaded only where it serves: node:http takes 0.8 MiB. */
async function nodeEngine(): Promise<Engine> {
  return (await import('./node/node.ts')).nodeEngine();
}

/** Of uWebSockets.js's own advice and the system's reason, the last line is the reason. */
function lastLine(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).trim().split('\n');
  return lines[lines.length - 1] ?? '';
}
