/** A case: who is measured, and what. */
import type { Peer } from './peers.ts';
import type { Service } from './service.ts';
import type { Site } from './site.ts';

export interface Column {
  readonly name: string;
  readonly digits: number;
  /** Whether a ratio says something about the server. */
  readonly ratio: boolean;
}

export interface Context {
  readonly site: Site;
  /** How long one measurement takes, in seconds, its warming-up not counted. */
  readonly seconds: number;
  /** Aborted when the bench is to stop: no further measurement is begun. */
  readonly signal: AbortSignal;
}

export interface BenchCase {
  readonly name: string;
  readonly title: string;
  /** Tools without which it cannot run. */
  readonly needs: readonly string[];
  readonly columns: readonly Column[];
  /** The first is what the others are compared with. */
  readonly peers: readonly Peer[];
  /**
   * One round with one server: a number for each column, NaN where it has none. `service` runs since the case began,
   * unless the case is about starting.
   */
  measure(peer: Peer, service: Service | undefined, context: Context): Promise<readonly number[]>;
  /** The servers are started by `measure`. */
  readonly startsItself?: boolean;
}

export function column(name: string, digits: number, ratio = true): Column {
  return { name, digits, ratio };
}

/** What `measure` may count on where the case does not start the servers itself. */
export function running(service: Service | undefined): Service {
  if (service === undefined) throw new Error('the server is not running');
  return service;
}
