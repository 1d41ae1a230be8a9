/**
 * An app of uWebSockets.js and the connections that it was given. A request tells nothing of its connection but the client's address; so where of each
 * address there is only one connection in an app, the address says which one it is.
 */
import type { TemplatedApp } from 'uWebSockets.js';
import type { Descriptors } from '../descriptors.ts';
import type { Peer } from '../peer.ts';
import { DirectSocket } from './direct-socket.ts';

/** What the types of uWebSockets.js leave out: an app can take over a connection that somebody else has accepted. */
export interface AdoptingApp extends TemplatedApp {
  adoptSocket(descriptor: number): void;
}

/** Behind so many that may be gone, those that are gone are looked for. */
const LOOK_BEHIND = 64;

interface KnownPeer {
  readonly peer: Peer;
  readonly descriptor: number;
}

export class KnownPeers {
  /** How many connections speak HTTP. */
  connections = 0;
  /** The address that all of its connections have; undefined where they have several. To ask for it costs a seventh of a small answer over TLS (measured). */
  address: string | undefined;
  private readonly known = new Map<string, KnownPeer>();
  /** While it has been alone since it came. */
  private only: number | undefined;

  /** @param remembers false: it takes any number of an address, and knows none of them */
  constructor(
    readonly app: AdoptingApp,
    private readonly remembers: boolean,
    private readonly descriptors: Descriptors,
  ) {}

  /** Whether a connection of this address is here. uWebSockets.js does not tell which one has gone, so where one has it is asked for now. */
  has(address: string): boolean {
    const known = this.known.get(address);
    return known !== undefined && (this.known.size === this.connections || this.isThere(known));
  }

  /** It is about to be served here. */
  remember(descriptor: number, peer: Peer): void {
    if (this.connections === 0) this.address = peer.address;
    else if (this.address !== peer.address) this.address = undefined;
    this.connections++;
    this.only = this.connections === 1 ? descriptor : undefined;
    if (!this.remembers) return;
    this.known.set(peer.address, { peer, descriptor });
    if (this.known.size > LOOK_BEHIND + 2 * this.connections)
      for (const [address, each] of this.known) if (!this.isThere(each)) this.known.delete(address);
  }

  of(address: string): Peer | undefined {
    return this.known.get(address)?.peer;
  }

  /** A second descriptor of the connection of this address, from which the request has come; undefined where it is not known which one that is. */
  openDirect(address: string): DirectSocket | undefined {
    const known = this.known.get(address);
    if (known === undefined || !this.isThere(known)) return undefined;
    const copy = this.descriptors.duplicate(known.descriptor);
    return copy < 0 ? undefined : new DirectSocket(copy, this.descriptors);
  }

  /** Of a connection with this address that is here. */
  descriptorOf(address: string): number | undefined {
    return this.only ?? this.known.get(address)?.descriptor;
  }

  /**
   * A connection has gone, with this address and port where they are known. The address is its successor's by now where it had broken off
   * before: it was asked for then, and not found.
   */
  left(address?: string, port?: number): void {
    this.connections--;
    this.only = undefined;
    if (this.connections === 0) this.known.clear();
    else if (address !== undefined && this.known.get(address)?.peer.port === port) this.known.delete(address);
  }

  private isThere({ descriptor, peer }: KnownPeer): boolean {
    return this.descriptors.peerOf(descriptor)?.port === peer.port;
  }
}
