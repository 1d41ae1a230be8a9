/** `share = "client"`: a source of its own for each client. */
import { bodyBytes } from '../http/body-bytes.ts';
import { HttpError, Superseded } from '../http/errors.ts';
import type { Answer, Call, Handler } from '../http/handler.ts';
import { textReply } from '../http/reply.ts';
import type { Held } from '../ownership/held.ts';
import { noRoom } from '../programs/start-error.ts';
import { PrivateChannel, type Restart } from './channel/private.ts';
import { Sessions } from './channel/sessions.ts';
import {
  acceptResponse,
  acceptWebSocket,
  type ClientEvents,
  type ClientParts,
  NO_CLIENT,
  type Reservation,
  refuseReturn,
} from './clients/accept.ts';
import { eventStream, plainStream, type ResponseForm } from './clients/response.ts';
import { queryValue, type Transport, transportOf } from './clients/transport.ts';
import type { Client, Source, SourceEvents } from './ends.ts';
import { CLOSE } from './message.ts';
import { STREAM_METHODS, type StreamPlan } from './plan.ts';
import { Backoff } from './sources/backoff.ts';

/** A source that was started for a client that is still to be connected. */
export type Connect = (events: SourceEvents) => Source;

export interface PrivateParts {
  readonly plan: StreamPlan;
  readonly clientParts: ClientParts;
  /** Starts a source for this call, which holds it; rejects with the `HttpError` that refuses the client. */
  start(call: Call): Promise<Held<Connect>>;
  /** The subprotocol to agree on, of those that the client offers. */
  protocol(offered: readonly string[]): string | undefined;
  /** Ends what is left of the sources, where nobody else does. */
  close?(): Promise<void>;
}

export class PrivateStream implements Handler {
  readonly kind = 'stream';
  readonly methods = STREAM_METHODS;
  readonly takesBody = true;
  readonly crossSite = 'same-origin';
  readonly pacesItself = true;
  private readonly channels = new Set<PrivateChannel>();
  /** Clients that cannot send over their own connection, by the number that their session has. */
  private readonly speakers = new Map<number, PrivateChannel>();
  private readonly sessions = new Sessions();
  private joined = 0;
  /** Why nobody new is let in. */
  private stopping: string | undefined;

  constructor(private readonly parts: PrivateParts) {}

  /** Everything that may refuse a client happens here, before the 101. */
  async handle(call: Call): Promise<Answer> {
    if (this.stopping !== undefined) throw new Superseded(this.stopping);
    const { request, handshake } = call;
    const transport = transportOf(request.method, request.query, request.headers, handshake !== undefined);
    const refused = refuseReturn(call, transport);
    if (refused !== undefined) return refused;
    if (transport === 'post') return await this.post(call);
    if (transport === 'long-poll') throw new HttpError(400, 'long-polling needs a shared stream: share = "all"');
    if (request.method === 'HEAD')
      return acceptResponse(this.parts.clientParts, this.form(transport), transport, NO_CLIENT);
    call.endless();
    const started = await this.parts.start(call);
    if (this.stopping !== undefined) {
      started.giveBack();
      throw new Superseded(this.stopping);
    }
    const { clientParts } = this.parts;
    if (transport === 'websocket') {
      const protocol = this.parts.protocol(handshake?.protocols ?? []);
      const numbered = queryValue(request.query, 'after') !== undefined;
      return acceptWebSocket(clientParts, call, { numbered, protocol }, this.reservation(call, started, undefined));
    }
    return acceptResponse(clientParts, this.form(transport), transport, this.reservation(call, started, ++this.joined));
  }

  retire(reason: string): void {
    this.stopping = reason;
    for (const channel of [...this.channels]) channel.finish({ code: CLOSE.goingAway, reason });
  }

  async close(): Promise<void> {
    await this.parts.close?.();
  }

  private form(transport: Transport): ResponseForm {
    const { binary, keepAlive } = this.parts.clientParts;
    return transport === 'events' ? eventStream(binary, keepAlive.pingInterval) : plainStream(binary);
  }

  /** A message of a client whose connection only goes one way. */
  private async post(call: Call): Promise<Answer> {
    const number = this.sessions.numberOf(queryValue(call.request.query, 'session') ?? '', call.user);
    const channel = number === undefined ? undefined : this.speakers.get(number);
    if (channel === undefined) throw new HttpError(404, 'no such session: the first event of the stream names it');
    channel.spoke();
    const taken = channel.fromClient(await bodyBytes(call.body, this.parts.clientParts.maxMessage));
    if (taken === 'sent') return textReply(202, 'sent\n');
    throw noRoom(taken === 'away' ? 'the program is being started again' : this.parts.plan.overrun);
  }

  private reservation(call: Call, started: Held<Connect>, number: number | undefined): Reservation {
    return {
      join: (client) => {
        const connect = started.take();
        return connect === undefined ? undefined : this.clientEvents(call, client, connect, number);
      },
      cancel: () => started.giveBack(),
    };
  }

  private clientEvents(call: Call, client: Client, connect: Connect, number: number | undefined): ClientEvents {
    const { plan, clientParts } = this.parts;
    const options = {
      ...plan.limits,
      eofMessage: plan.eofMessage,
      restart: this.restart(call),
      binary: clientParts.binary,
    };
    const channel = new PrivateChannel(options, clientParts.counts, clientParts.log, () => {
      this.channels.delete(channel);
      if (number !== undefined) this.speakers.delete(number);
    });
    this.channels.add(channel);
    if (number !== undefined) this.speakers.set(number, channel);
    client.notice({
      kind: 'joined',
      id: '',
      facts: number === undefined ? {} : { session: this.sessions.issue(number, call.user) },
    });
    channel.join(client, connect);
    // It was let in, and then took a while to arrive.
    if (this.stopping !== undefined) channel.finish({ code: CLOSE.goingAway, reason: this.stopping });
    return {
      message: (data) => {
        if (channel.fromClient(data) === 'full') channel.overrun(plan.overrun);
      },
      drain: () => channel.clientDrain(),
      close: (ending) => channel.finish(ending),
      vanished: () => channel.abort('client_vanished', 'a client did not answer its pings and was dropped'),
      left: () => channel.clientLeft(),
    };
  }

  private restart(call: Call): Restart | undefined {
    const { restart } = this.parts.plan;
    if (restart === 'never') return undefined;
    return {
      wanted: (ending) => restart === 'always' || ending.code !== CLOSE.normal,
      backoff: new Backoff(this.parts.plan.backoff),
      start: async (events) => {
        const connect = (await this.parts.start(call)).take();
        if (connect === undefined) throw call.signal.reason;
        return connect(events);
      },
    };
  }
}
