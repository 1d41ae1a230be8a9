/** What the doctor finds, and what its probes are. */
import type { Config } from '../../gateway/config.ts';
import type { TakenPort } from '../../ops/system/ports.ts';
import type { ServiceSettings } from '../service-unit.ts';

export interface Finding {
  /** A problem keeps something from working now; a warning may do so later. */
  readonly level: 'problem' | 'warning';
  /** What it is about: a key of the configuration, or a part of the machine. */
  readonly about: string;
  /** Whole sentences, without their full stop. */
  readonly seen: string;
  readonly matters: string;
  readonly remedy: string;
}

/** What the probes go by. */
export interface Patient {
  readonly config: Config;
  /** Absolute path of the configuration. */
  readonly file: string;
  /** The process of the gateway that runs with it already; undefined where none does. */
  readonly pid: number | undefined;
  readonly taken: readonly TakenPort[];
  /** The unit that starts it, where there is one. */
  readonly unit: ServiceSettings | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Looks at one thing. Ends when the signal is aborted. */
export type Probe = (patient: Patient, signal: AbortSignal) => Promise<readonly Finding[]> | readonly Finding[];

/** Runs the probes beside one another, each with its own deadline in milliseconds. One that fails, or is late, says so. */
export async function examine(
  patient: Patient,
  probes: { readonly [name: string]: Probe },
  patience: number,
): Promise<readonly Finding[]> {
  const found = await Promise.all(
    Object.entries(probes).map(async ([name, probe]): Promise<readonly Finding[]> => {
      const aborting = new AbortController();
      const { signal } = aborting;
      const late = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error(`it took longer than ${patience / 1000} s`)));
      });
      const timer = setTimeout(() => aborting.abort(), patience);
      try {
        return await Promise.race([Promise.resolve(probe(patient, signal)), late]);
      } catch (error) {
        return [
          {
            level: 'warning',
            about: name,
            seen: `this could not be looked at: ${error instanceof Error ? error.message : String(error)}`,
            matters: 'whether something is wrong with it is not known',
            remedy: 'try again, as root or as the user of the gateway',
          },
        ];
      } finally {
        clearTimeout(timer);
      }
    }),
  );
  return found.flat();
}
