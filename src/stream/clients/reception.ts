/** Brings a client to its channel: the same for shared and unshared streams, one function for each kind of connection. */
import type { Reply, Socket, SocketHandlers, Upgrade } from '../../engine/engine.ts';
import type { Call } from '../../http/handler.ts';
import type { Log } from '../../ops/log.ts';
import type { StreamCounts } from '../counts.ts';
import type { Client } from '../ends.ts';
import { CLOSE, type Ending } from '../message.ts';
import { earlyPings } from './early-pings.ts';
import type { KeepAlive, Owner, Watch } from './keepalive.ts';
import { ENDED_ID, ResponseClient, type ResponseForm } from './response.ts';
import { lastEventId, type Transport } from './transport.ts';
import { WebSocketClient } from './websocket.ts';

/** A client's place in its channel. */
export interface Seat {
  /** A message from the client. */
  message(data: Buffer): void;
  /** The client has taken everything. */
  caughtUp(): void;
  /** Ends the stream for this client, in good order. */
  close(ending: Ending): void;
  /** The peer does not answer. */
  vanished(): void;
  /** The connection is over. */
  left(): void;
}

export interface Reception {
  readonly log: Log;
  readonly counts: StreamCounts;
  readonly keepAlive: KeepAlive;
  /** Largest message of a client, bytes. */
  readonly maxMessage: number;
  /** Whether the stream's messages are binary. */
  readonly binary: boolean;
}

/** What was made ready for a client that is still to arrive. Exactly one of both is called. */
export interface Arrival {
  /** It is there. Undefined: what was made ready for it is gone. */
  join(client: Client): Seat | undefined;
  /** It does not come. */
  cancel(): void;
}

/** Of a HEAD request. */
export const NOBODY_COMES: Arrival = { join: () => undefined, cancel: () => undefined };

/**
 * What an EventSource gets that comes again though its stream was over: no content, which tells it to stay away (HTML standard,
 * section 9.2.3). Undefined for everybody else.
 */
export function stayAway(call: Call, transport: Transport): Reply | undefined {
  if (transport !== 'events' || lastEventId(call.request) !== ENDED_ID) return undefined;
  return { status: 204, headers: [['cache-control', 'no-store']], body: undefined };
}

/** @param numbered whether the client asked for ids; @param protocol one of those that the client offered */
export function byWebSocket(
  reception: Reception,
  call: Call,
  options: { readonly numbered: boolean; readonly protocol?: string | undefined },
  arrival: Arrival,
): Upgrade {
  return {
    protocol: options.protocol,
    headers: [],
    maxMessage: reception.maxMessage,
    handlers: new StreamSocket(reception, call.path, call.id, options.numbered, arrival),
    cancel: () => arrival.cancel(),
  };
}

/**
 * What a WebSocket of a stream keeps in memory, and there may be very many: an object without closures, and nothing of the request
 * but its path and its id.
 */
class StreamSocket implements SocketHandlers, Owner {
  private seat: Seat | undefined;
  private watch: Watch | undefined;
  private arrival: Arrival | undefined;
  private stopEarly: (() => void) | undefined;
  private over = false;

  constructor(
    private readonly reception: Reception,
    private readonly path: string,
    private readonly id: string,
    private readonly numbered: boolean,
    arrival: Arrival,
  ) {
    this.arrival = arrival;
  }

  open(socket: Socket): void {
    const { arrival } = this;
    const { keepAlive, counts } = this.reception;
    // It knows the whole request.
    this.arrival = undefined;
    const client = new WebSocketClient(socket, this.numbered, keepAlive.pingInterval, this);
    counts.joined('websocket');
    this.watch = keepAlive.add(client, this);
    if (this.numbered) this.stopEarly = earlyPings((due) => client.ping(due), keepAlive.pingInterval);
    this.seat = arrival?.join(client);
    if (this.seat === undefined) client.close(GONE);
    else if (this.over) this.seat.left();
  }

  message(data: Buffer, isBinary: boolean): void {
    const { binary } = this.reception;
    this.watch?.message();
    this.watch?.heard();
    if (isBinary === binary) this.seat?.message(data);
    else
      this.seat?.close({
        code: CLOSE.unsupportedData,
        reason: binary ? 'only binary messages here' : 'only text messages here',
      });
  }

  drain(): void {
    this.watch?.heard();
    this.seat?.caughtUp();
  }

  pong(): void {
    this.watch?.heard();
  }

  ping(): void {
    this.watch?.heard();
  }

  close(code: number, reason: string): void {
    const { keepAlive, counts, log } = this.reception;
    this.over = true;
    this.stopEarly?.();
    if (this.watch !== undefined) keepAlive.remove(this.watch);
    counts.left(code);
    log.info(`${this.path} closed`, {
      route: counts.route,
      code,
      ...(reason === '' ? {} : { reason }),
      id: this.id,
    });
    this.seat?.left();
  }

  delivered(): void {
    this.watch?.message();
  }

  resumed(): void {
    this.watch?.heard();
  }

  end(ending: Ending): void {
    this.seat?.close(ending);
  }

  vanished(): void {
    this.seat?.vanished();
  }
}

/** What was started for a client did not wait for it. */
const GONE: Ending = { code: CLOSE.tryAgainLater, reason: 'please come again' };

/** @param transport its name in the counts */
export function byResponse(reception: Reception, form: ResponseForm, transport: string, arrival: Arrival): Reply {
  const { keepAlive, counts } = reception;
  let seat: Seat | undefined;
  let started = false;
  let over = false;
  let watch: Watch | undefined;
  let stopEarly: (() => void) | undefined;
  const client = new ResponseClient(form, {
    delivered: () => watch?.message(),
    caughtUp: () => seat?.caughtUp(),
    alive: () => watch?.heard(),
    left(code) {
      over = true;
      stopEarly?.();
      if (watch !== undefined) keepAlive.remove(watch);
      counts.left(code);
      seat?.left();
    },
  });
  return {
    status: 200,
    headers: [
      ['content-type', form.contentType],
      ['cache-control', 'no-store'],
      // nginx holds answers back by default; this is how it is told not to.
      ['x-accel-buffering', 'no'],
    ],
    body: {
      length: undefined,
      // Joined only now: a HEAD request, or one whose client has left, never starts its body.
      start(sink) {
        started = true;
        counts.joined(transport);
        watch = keepAlive.add(client, {
          end: (ending) => seat?.close(ending),
          vanished: () => seat?.vanished(),
        });
        client.start(sink);
        // The engine may tell inside of any write that nobody is there any more.
        if (over) {
          arrival.cancel();
          return;
        }
        if (form.ping !== undefined) stopEarly = earlyPings((due) => client.ping(due), keepAlive.pingInterval);
        seat = arrival.join(client);
        if (seat === undefined) client.close(GONE);
        else if (over) seat.left();
      },
      resume: () => client.resume(),
      cancel: () => {
        if (started) client.cancel();
        else arrival.cancel();
      },
    },
  };
}
