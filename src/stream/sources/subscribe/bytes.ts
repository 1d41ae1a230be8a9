/** An upstream that is a TCP or Unix connection, with TLS or without: messages lie in its bytes as in a program's. */
import { isIP, type Socket } from 'node:net';
import { Held } from '../../../ownership/held.ts';
import { ConnectError, Connector } from '../../../upstream/connecting.ts';
import { connectionFault } from '../../../upstream/faults.ts';
import { serverIdentity, type TrustConfig } from '../../../upstream/trust.ts';
import { CLOSE, type Ending } from '../../message.ts';
import { ConnectionSource } from '../connect/connection.ts';
import type { FramingOptions } from '../framed.ts';
import { KEEP_ALIVE_AFTER } from '../poll/source-server.ts';
import type { SourceEvents } from '../source.ts';
import type { SubscribeAddress } from './address.ts';
import {
  type StartedSubscription,
  type Subscription,
  type SubscriptionEvents,
  SubscriptionFailure,
  type SubscriptionTarget,
} from './subscription.ts';

export interface BytesTargetParts extends FramingOptions {
  readonly address: SubscribeAddress & { readonly kind: 'bytes' };
  readonly trust: TrustConfig;
  /** Milliseconds until a connection must be there. */
  readonly timeout: number;
  /** Bytes of viewers' messages that may wait for it. */
  readonly maxQueue: number;
}

/** Throws an `Error` for a file of authorities that cannot be read. */
export function bytesTarget(parts: BytesTargetParts): SubscriptionTarget {
  const { address, trust, timeout } = parts;
  const { remote } = address;
  const name = remote.kind === 'tcp' && isIP(remote.host) === 0 ? remote.host : undefined;
  const connector = new Connector({
    remote,
    timeout,
    keepAliveAfter: KEEP_ALIVE_AFTER,
    ...(address.secure ? { tls: serverIdentity(trust, name) } : {}),
  });
  return {
    async open(_resume, signal) {
      try {
        const socket = (await connector.connect(signal)).take();
        if (socket === undefined) throw signal.reason;
        const started: StartedSubscription = (events) => new BytesSubscription(socket, parts, events);
        return new Held(started, () => socket.destroy(), signal);
      } catch (error) {
        throw error instanceof ConnectError ? connectionFault(error) : error;
      }
    },
  };
}

class BytesSubscription implements Subscription, SourceEvents {
  private readonly source: ConnectionSource;

  constructor(
    socket: Socket,
    private readonly parts: BytesTargetParts,
    private readonly events: SubscriptionEvents,
  ) {
    socket.on('data', () => events.heard());
    this.source = new ConnectionSource(socket, { ...parts, lost: (losses) => events.leftOut(losses) }, this);
  }

  send(message: Buffer): 'sent' | 'full' {
    if (this.source.waiting > this.parts.maxQueue) return 'full';
    this.source.write(message);
    return 'sent';
  }

  release(): void {
    this.source.release();
  }

  // ---- from the connection ----

  messages(batch: readonly Buffer[]): void {
    this.events.messages(batch, this.parts.framing.binary);
  }

  stderr(): void {}

  drain(): void {}

  ended({ code, reason }: Ending): void {
    this.source.release();
    const message = code === CLOSE.normal ? 'it has closed the connection' : reason;
    this.events.ended(new SubscriptionFailure(message, { outcome: 'ended' }));
  }
}
