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

/** What a client's connection tells its channel. */
export interface ClientEvents {
  /** A message from the client. */
  message(data: Buffer): void;
  /** The client's output buffer is empty. */
  drain(): void;
  /** Ends the stream for this client, in good order. */
  close(ending: Ending): void;
  /** The peer does not answer. */
  vanished(): void;
  /** The connection is over. */
  left(): void;
}

export interface ClientParts {
  readonly log: Log;
  readonly counts: StreamCounts;
  readonly keepAlive: KeepAlive;
  /** Largest message of a client, bytes. */
  readonly maxMessage: number;
  /** Whether the stream's messages are binary. */
  readonly binary: boolean;
}

/** What was made ready for a client that is still to arrive. Exactly one of both is called. */
export interface Reservation {
  /** It is there. Undefined: what was made ready for it is gone. */
  join(client: Client): ClientEvents | undefined;
  /** It does not come. */
  cancel(): void;
}

/** Of a HEAD request. */
export const NO_CLIENT: Reservation = { join: () => undefined, cancel: () => undefined };

/**
 * What an EventSource gets that comes again though its stream was over: no content, which tells it to stay away (HTML standard,
 * section 9.2.3). Undefined for everybody else.
 */
export function refuseReturn(call: Call, transport: Transport): Reply | undefined {
  if (transport !== 'events' || lastEventId(call.request) !== ENDED_ID) return undefined;
  return { status: 204, headers: [['cache-control', 'no-store']], body: undefined };
}

/** @param numbered whether the client asked for ids; @param protocol one of those that the client offered */
export function acceptWebSocket(
  clientParts: ClientParts,
  call: Call,
  options: { readonly numbered: boolean; readonly protocol?: string | undefined },
  reservation: Reservation,
): Upgrade {
  return {
    protocol: options.protocol,
    headers: [],
    maxMessage: clientParts.maxMessage,
    handlers: new StreamSocket(clientParts, call.path, call.id, options.numbered, reservation),
    cancel: () => reservation.cancel(),
  };
}

/**
 * What a WebSocket of a stream keeps in memory, and there may be very many: an object without closures, and nothing of the request
 * but its path and its id.
 */
class StreamSocket implements SocketHandlers, Owner {
  private events: ClientEvents | undefined;
  private watch: Watch | undefined;
  private reservation: Reservation | undefined;
  private stopEarly: (() => void) | undefined;
  private over = false;

  constructor(
    private readonly clientParts: ClientParts,
    private readonly path: string,
    private readonly id: string,
    private readonly numbered: boolean,
    reservation: Reservation,
  ) {
    this.reservation = reservation;
  }

  open(socket: Socket): void {
    const { reservation } = this;
    const { keepAlive, counts } = this.clientParts;
    // It knows the whole request.
    this.reservation = undefined;
    const client = new WebSocketClient(socket, this.numbered, keepAlive.pingInterval, this);
    counts.joined('websocket');
    this.watch = keepAlive.add(client, this);
    if (this.numbered) this.stopEarly = earlyPings((due) => client.ping(due), keepAlive.pingInterval);
    this.events = reservation?.join(client);
    if (this.events === undefined) client.close(GONE);
    else if (this.over) this.events.left();
  }

  message(data: Buffer, isBinary: boolean): void {
    const { binary } = this.clientParts;
    this.watch?.message();
    this.watch?.heard();
    if (isBinary === binary) this.events?.message(data);
    else
      this.events?.close({
        code: CLOSE.unsupportedData,
        reason: binary ? 'only binary messages here' : 'only text messages here',
      });
  }

  drain(): void {
    this.watch?.heard();
    this.events?.drain();
  }

  pong(): void {
    this.watch?.heard();
  }

  ping(): void {
    this.watch?.heard();
  }

  close(code: number, reason: string): void {
    const { keepAlive, counts, log } = this.clientParts;
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
    this.events?.left();
  }

  delivered(): void {
    this.watch?.message();
  }

  resumed(): void {
    this.watch?.heard();
  }

  end(ending: Ending): void {
    this.events?.close(ending);
  }

  vanished(): void {
    this.events?.vanished();
  }
}

/** What was started for a client did not wait for it. */
const GONE: Ending = { code: CLOSE.tryAgainLater, reason: 'please come again' };

/** @param transport its name in the counts */
export function acceptResponse(
  clientParts: ClientParts,
  form: ResponseForm,
  transport: string,
  reservation: Reservation,
): Reply {
  const { keepAlive, counts } = clientParts;
  let events: ClientEvents | undefined;
  let started = false;
  let over = false;
  let watch: Watch | undefined;
  let stopEarly: (() => void) | undefined;
  const client = new ResponseClient(form, {
    delivered: () => watch?.message(),
    drain: () => events?.drain(),
    alive: () => watch?.heard(),
    left(code) {
      over = true;
      stopEarly?.();
      if (watch !== undefined) keepAlive.remove(watch);
      counts.left(code);
      events?.left();
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
          end: (ending) => events?.close(ending),
          vanished: () => events?.vanished(),
        });
        client.start(sink);
        // The engine may tell inside of any write that nobody is there any more.
        if (over) {
          reservation.cancel();
          return;
        }
        if (form.ping !== undefined) stopEarly = earlyPings((due) => client.ping(due), keepAlive.pingInterval);
        events = reservation.join(client);
        if (events === undefined) client.close(GONE);
        else if (over) events.left();
      },
      resume: () => client.resume(),
      cancel: () => {
        if (started) client.cancel();
        else reservation.cancel();
      },
    },
  };
}
