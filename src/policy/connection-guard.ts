/** Holds the connection limits for every listener of a gateway, and counts what they let in and what not. */
import type { ConnectionsConfig } from '../config/keys/policies.ts';
import type { EngineEvents } from '../engine/engine.ts';
import { addressText } from '../net/address.ts';
import type { Log } from '../ops/log.ts';
import { connectedPeers, openFilesLimit } from '../ops/system/proc.ts';
import type { Tallies } from '../ops/tallies.ts';
import { AddressSet } from './addresses.ts';
import { ConnectionLimits, type ConnectionLimitsOptions } from './connections.ts';

type GuardConfig = Pick<ConnectionsConfig, 'max' | 'max_per_address' | 'exempt' | 'trusted_proxies'>;
type ConnectionEvents = Pick<EngineEvents, 'opened' | 'closed'>;

/** For the operator's own listener, which must answer while everything else is full. */
export const UNGUARDED: ConnectionEvents = { opened: () => true, closed: () => undefined };

/** Open files that connections leave for everything else, where there are enough: programs' pipes, served files, the log. */
const LEAST_RESERVE = 64;
/** What the gateway has open by itself, rounded up: where there are few, connections get half of the others. */
const OWN_FILES = 32;
/** At most one log line about refused connections in this time, milliseconds. */
const SAY_EVERY = 10_000;

export class ConnectionGuard {
  private readonly limits: ConnectionLimits;
  private saidAt = Number.NEGATIVE_INFINITY;

  /** @param ports those whose connections are meant, for the census */
  constructor(
    config: GuardConfig,
    private readonly tallies: Tallies,
    private readonly log: Log,
    private readonly ports: () => readonly number[],
  ) {
    this.limits = new ConnectionLimits(this.options(config));
  }

  /** Other limits from now on. Connections that are open count on, and stay. */
  change(config: GuardConfig): void {
    this.limits.change(this.options(config));
  }

  private options(config: GuardConfig): ConnectionLimitsOptions {
    const files = openFilesLimit() ?? Number.POSITIVE_INFINITY;
    const room = roomFor(files);
    if (room < config.max)
      this.log.warn(
        `only ${room} connections are possible at a time, not connections.max (${config.max}), because the system allows ${files} open files; raise that limit to ${filesFor(config.max)} (LimitNOFILE= of the unit, --ulimit of a container, ulimit -n)`,
      );
    return {
      max: Math.min(config.max, room),
      maxPerAddress: config.max_per_address,
      exempt: [new AddressSet(config.exempt), new AddressSet(config.trusted_proxies)],
      census: () => connectedPeers(new Set(this.ports())).map(addressText),
    };
  }

  /** What an engine asks at the door of this listener. `named`: proxies in front of it say whose the connections are. */
  of(listener: string, named = false): ConnectionEvents {
    const open = this.tallies.connections.series(listener);
    return {
      opened: (address) => {
        const limit = this.limits.opened(address, performance.now(), named);
        if (limit === undefined) open.value++;
        else this.refuse(listener, limit, address);
        return limit === undefined;
      },
      closed: (address) => {
        this.limits.closed(address, named);
        open.value--;
      },
    };
  }

  private refuse(listener: string, limit: 'max' | 'address', client: string): void {
    this.tallies.connectionsRefused.add(1, listener, limit);
    const now = performance.now();
    if (now - this.saidAt < SAY_EVERY) return;
    this.saidAt = now;
    const key = limit === 'max' ? 'connections.max' : 'connections.max_per_address';
    this.log.warn(`connections are refused: ${key} is reached`, { listener, client, open: this.limits.open });
  }
}

/** How many connections there may be with so many open files. */
export function roomFor(files: number): number {
  const plenty = files - Math.max(LEAST_RESERVE, Math.floor(files / 4));
  return Math.max(1, plenty, Math.floor((files - OWN_FILES) / 2));
}

/** The reverse: how many open files let there be so many connections. */
export function filesFor(connections: number): number {
  return Math.max(connections + LEAST_RESERVE, Math.ceil((connections * 4) / 3));
}
