/** Who is at the other end of a connection, from the moment it is accepted. */
import type { Socket } from 'node:net';
import { readAddress, UNIX_PEER } from '../net/address.ts';
import type { Descriptors } from './descriptors.ts';
import type { ListenAddress } from './engine.ts';

/** The other end of a connection: the client, as far as one can know. */
export interface Peer {
  /** As engines write addresses. */
  readonly address: string;
  readonly port: number | undefined;
  /** The address of ours that the connection was made to, by a proxy where there is one. */
  readonly local: string | undefined;
  /** A proxy in front says that it speaks TLS with the client. */
  readonly secure: boolean;
  /** It is the proxy that is known, not whose connection it has passed on (a PROXY preface that names nobody). */
  readonly anonymous: boolean;
  /** Bytes that the proxy wrote before the client's first. */
  readonly preface: number;
}

/** A connection that is Node's. */
export interface AcceptedConnection {
  peer: Peer;
  /** It was let in, and is counted. */
  admitted: boolean;
}

/**
 * Who is at the other end of a connection that is a descriptor; undefined when it has gone by now.
 * @param local this end's address where it is known without asking
 */
export function peerAt(
  descriptor: number,
  descriptors: Descriptors,
  isUnix: boolean,
  local: string | undefined,
): Peer | undefined {
  const end = isUnix ? { address: UNIX_PEER, port: undefined } : descriptors.peerOf(descriptor);
  if (end === undefined || end.address === '') return undefined;
  return {
    address: end.address,
    port: end.port,
    local: isUnix ? undefined : (local ?? descriptors.localOf(descriptor)?.address),
    secure: false,
    anonymous: false,
    preface: 0,
  };
}

/** Who is at the other end of the connection itself; its address is "" when it has gone by now. */
export function directPeer(socket: Socket, isUnix: boolean): Peer {
  const address = isUnix ? UNIX_PEER : (readAddress(socket.remoteAddress ?? '') ?? '');
  const local = isUnix ? undefined : readAddress(socket.localAddress ?? '');
  return { address, port: socket.remotePort, local, secure: false, anonymous: false, preface: 0 };
}

/** The one address that a listener has; undefined for a listener on all of them, and where it is not known beforehand. */
export function ownAddress(address: ListenAddress): string | undefined {
  if (address.kind !== 'tcp') return undefined;
  const host = readAddress(address.host);
  return host === '::' || host === '0.0.0.0' ? undefined : host;
}
