/** An upstream that is a WebSocket: each message is one, and keeps its type. */

import { Held } from '../../../ownership/held.ts';
import {
  ClientHandshake,
  type UpstreamSocket,
  type UpstreamSocketEvents,
  UpstreamSockets,
} from '../../../upstream/websocket.ts';
import { CLOSE } from '../../message.ts';
import type { SourceServer } from '../poll/source-server.ts';
import { refused } from './http.ts';
import {
  type StartedSubscription,
  type Subscription,
  type SubscriptionEvents,
  SubscriptionFailure,
  type SubscriptionTarget,
} from './subscription.ts';

export interface WebSocketTargetParts {
  readonly server: SourceServer;
  /** Path and query. */
  readonly target: string;
  readonly subprotocols: readonly string[];
  /** Bytes. */
  readonly maxMessage: number;
  /** Bytes of viewers' messages that may wait for it. */
  readonly maxQueue: number;
  /** Milliseconds of silence after which it is pinged, and until it must have answered. */
  readonly pingInterval: number;
  /** Milliseconds until the head of the answer must be there. */
  readonly headTime: number;
}

/** Its connection was lost. */
const LOST = 1006;

export function webSocketTarget(parts: WebSocketTargetParts): SubscriptionTarget {
  const { server, target, subprotocols, maxMessage, headTime } = parts;
  const sockets = new UpstreamSockets(maxMessage);
  return {
    async open(_resume, signal) {
      const handshake = new ClientHandshake(subprotocols);
      const times = { head: headTime, total: undefined };
      const asked = {
        method: 'GET',
        target,
        headers: handshake.headers,
        body: undefined,
        switches: true,
        signal,
        times,
      };
      const response = await server.ask(asked);
      const { switched, body, status, headers } = response;
      if (switched === undefined) {
        if ('start' in body) body.cancel();
        if (status < 200 || status > 299) throw refused(status, headers);
        throw new SubscriptionFailure(`it does not speak WebSocket there (${status})`, { outcome: 'status' });
      }
      const { connection, head } = switched;
      const { socket } = connection;
      const held = new Held(socket, () => socket.destroy(), signal);
      try {
        handshake.protocolOf(response);
        held.take();
        const started: StartedSubscription = (events) => {
          const subscription = new WebSocketSubscription(parts, events);
          subscription.attach(sockets.adopt(connection, subscription), head);
          // Its 'close' has been told to nobody.
          if (socket.destroyed) queueMicrotask(() => subscription.closed(LOST, ''));
          return subscription;
        };
        return new Held(started, () => socket.destroy(), signal);
      } finally {
        held.giveBack();
      }
    },
  };
}

class WebSocketSubscription implements Subscription, UpstreamSocketEvents {
  private socket: UpstreamSocket | undefined;
  private over = false;
  private hasPinged = false;
  /** Messages of one type that came together. */
  private gathered: Buffer[] = [];
  private isBinary = false;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly parts: WebSocketTargetParts,
    private readonly events: SubscriptionEvents,
  ) {
    this.timer = setInterval(() => this.check(), parts.pingInterval);
  }

  /** @param head what has come over the connection already. Nothing is told before this has returned. */
  attach(socket: UpstreamSocket, head: Buffer): void {
    this.socket = socket;
    queueMicrotask(() => socket.start(head));
  }

  send(message: Buffer, binary: boolean): 'sent' | 'full' {
    const { socket, parts } = this;
    if (socket === undefined || socket.bufferedAmount > parts.maxQueue) return 'full';
    // What is sent is masked in place, and the message may be somebody else's.
    socket.send(Buffer.from(message), binary);
    return 'sent';
  }

  release(): void {
    if (this.over) return;
    this.over = true;
    clearInterval(this.timer);
    this.socket?.close(CLOSE.normal, '');
  }

  // ---- from the upstream ----

  /** A pong shows that it lives, and not that it has something to say. */
  batch(deliver: () => void): void {
    this.hasPinged = false;
    deliver();
    this.tell();
  }

  message(data: Buffer, binary: boolean): void {
    if (this.isBinary !== binary) this.tell();
    this.isBinary = binary;
    // The memory is the socket's.
    this.gathered.push(Buffer.from(data));
  }

  drain(): void {}

  closed(code: number, reason: string): void {
    if (this.over) return;
    const detail = `code ${code}${reason === '' ? '' : ` ${JSON.stringify(reason.slice(0, 123))}`}`;
    const isTooBig = code === CLOSE.tooBig && reason === '';
    this.finish(isTooBig ? 'its message is larger than max_message' : 'it has closed the WebSocket', 'ended', detail);
  }

  private tell(): void {
    const { gathered } = this;
    if (gathered.length === 0) return;
    this.gathered = [];
    if (this.over) return;
    this.events.heard();
    this.events.messages(gathered, this.isBinary);
  }

  /** Two intervals without a word: one until it is pinged, one for its answer. */
  private check(): void {
    if (this.hasPinged) {
      this.finish('it does not answer pings', 'silent');
      return;
    }
    this.hasPinged = true;
    this.socket?.probe();
  }

  private finish(message: string, outcome: 'ended' | 'silent', detail?: string): void {
    this.over = true;
    clearInterval(this.timer);
    this.socket?.close(outcome === 'silent' ? LOST : CLOSE.normal, '');
    this.events.ended(new SubscriptionFailure(message, { outcome, detail }));
  }
}
