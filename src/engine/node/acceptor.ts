/** Connections of the engine on Node from the moment they are accepted: how many, whose, and what a proxy says of them first. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { readAddress, UNIX_PEER } from '../../net/address.ts';
import type { EngineEvents } from '../engine.ts';
import type { OpenConnections } from '../open-connections.ts';
import type { Peer } from './connection.ts';
import { gateConnections, takePreface } from './preface.ts';

export interface AcceptedConnection {
  peer: Peer;
  /** It was let in, and is counted. */
  admitted: boolean;
}

export interface ProxyRules {
  readonly isProxy: (remoteAddress: string) => boolean;
  /** Milliseconds for the preface. */
  readonly deadline: number;
}

export class Acceptor {
  /** The connections themselves; over TLS, those under it. */
  private readonly open = new Map<Socket, AcceptedConnection>();

  /** `serve` is called once the first byte for HTTP or TLS is next, and also for those that are not admitted. */
  constructor(
    private readonly events: EngineEvents,
    private readonly connections: OpenConnections,
    private readonly serve: (socket: Socket, accepted: AcceptedConnection) => void,
    private readonly left: (socket: Socket, accepted: AcceptedConnection) => void,
  ) {}

  /** Takes every connection of `server`; with `rules`, only from proxies, and what they write in front of it first. */
  watch(server: Server, isUnix: () => boolean, rules: ProxyRules | undefined): void {
    if (rules === undefined)
      server.on('connection', (socket: Socket) => {
        const peer = directPeer(socket, isUnix());
        // Over TCP a peer that has gone by now has no address, but what it has sent could still be read: by no rule for addresses.
        if (peer.address === '') socket.destroy();
        else this.serve(socket, this.enter(socket, peer));
      });
    else
      gateConnections(server, (socket, pass) => {
        // An error is always followed by the close, which is what counts.
        socket.on('error', () => {});
        const peer = directPeer(socket, isUnix());
        if (peer.address === '') socket.destroy();
        else if (rules.isProxy(peer.address)) this.awaitPreface(socket, peer, rules.deadline, pass);
        else this.refuse(socket, peer);
      });
  }

  peerOf(socket: Socket | undefined): Peer | undefined {
    return socket && this.open.get(socket)?.peer;
  }

  dropAll(): void {
    for (const socket of this.open.keys()) socket.destroy();
  }

  /** Whose it is may turn out later. */
  private enter(socket: Socket, peer: Peer): AcceptedConnection {
    const accepted = { peer, admitted: this.events.opened(peer.address) };
    this.open.set(socket, accepted);
    this.connections.opened();
    socket.once('close', () => {
      this.open.delete(socket);
      this.left(socket, accepted);
      this.connections.closed();
      if (accepted.admitted) this.events.closed(accepted.peer.address);
    });
    return accepted;
  }

  private refuse(socket: Socket, { address }: Peer): void {
    socket.destroy();
    this.events.refused('a connection from an address that connections.trusted_proxies does not list', address);
  }

  /** Until the client is known the connection counts as the proxy's. */
  private awaitPreface(socket: Socket, direct: Peer, deadline: number, pass: () => void): void {
    const accepted = this.enter(socket, direct);
    if (!accepted.admitted) {
      this.serve(socket, accepted);
      return;
    }
    const { address } = accepted.peer;
    takePreface(socket, deadline, {
      taken: ({ client, length }) => {
        if (client !== undefined) {
          this.events.closed(address);
          accepted.admitted = this.events.opened(client.address);
        }
        accepted.peer = { ...accepted.peer, ...client, anonymous: client === undefined, preface: length };
        pass();
        this.serve(socket, accepted);
      },
      refused: (reason) => this.events.refused(reason, address),
    });
  }
}

/** Who is at the other end of the connection itself; its address is "" when it has gone by now. */
function directPeer(socket: Socket, isUnix: boolean): Peer {
  const address = isUnix ? UNIX_PEER : (readAddress(socket.remoteAddress ?? '') ?? '');
  const local = isUnix ? undefined : readAddress(socket.localAddress ?? '');
  return { address, port: socket.remotePort, local, secure: false, anonymous: false, preface: 0 };
}
