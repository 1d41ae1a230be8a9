/** A stream as a handler: how a client gets in, whatever its transport and whatever joins it to a source. */
import { headerValue, type Reply } from '../engine/engine.ts';
import { HttpError, Superseded } from '../http/errors.ts';
import type { Answer, Call, Handler } from '../http/handler.ts';
import { textReply, withHeaders } from '../http/reply.ts';
import { bodyBytes } from '../http/spool.ts';
import { queryValue } from '../net/query.ts';
import type { RouteFacts } from '../ops/status.ts';
import { untilAborted } from '../ownership/until-aborted.ts';
import type { ClientRequest } from '../policy/addresses.ts';
import { noRoom } from '../programs/start-error.ts';
import type { Channels } from './channel/channels.ts';
import { type ClientParts, NO_CLIENT, type Reservation } from './clients/client.ts';
import { answerLast } from './clients/last.ts';
import { answerAfterEnd, answerLongPoll } from './clients/long-poll.ts';
import { answerLookup, newestId } from './clients/lookup.ts';
import { PartsForm } from './clients/parts.ts';
import { ClientPlaces } from './clients/places.ts';
import { acceptResponse, formed } from './clients/response.ts';
import { ENDED_ID, eventStream, plainStream, type ResponseForm } from './clients/response-form.ts';
import { lastEventId, transportOf, wantsPicture } from './clients/transport.ts';
import { acceptWebSocket } from './clients/websocket.ts';
import type { CountedTransport } from './counts.ts';
import { CLOSE, type Ending } from './message.ts';
import type { StreamPlan } from './plan.ts';
import type { WritingRequests } from './sources/source.ts';

export const STREAM_METHODS = ['GET', 'HEAD', 'POST'] as const;
/** It stays away then: that is what was asked for. */
const ENDED_BY_OPERATOR: Ending = { code: CLOSE.policyViolation, reason: 'the operator has ended this connection' };
/** Of a stream that takes no messages. */
const READ_METHODS = ['GET', 'HEAD'] as const;

export class Stream implements Handler {
  readonly kind = 'stream';
  readonly takesMessages = true;
  readonly methods: readonly string[];
  readonly takesBody = true;
  readonly crossSite = 'same-origin';
  readonly pacesItself = true;
  readonly maxBody: number;
  /** For clients that may not write. */
  private readonly readers: ClientParts;
  /** Why no client is let in any more. */
  private retired: string | undefined;
  /** Undefined: there is room for everybody. */
  private readonly places: ClientPlaces | undefined;
  private readonly parts = new PartsForm();

  constructor(
    private readonly plan: StreamPlan,
    private readonly clientParts: ClientParts,
    private readonly channels: Channels,
    /** The key that chose its source. */
    private readonly source: string,
    /** Where requests that write are more than messages to the source. */
    private readonly requests?: WritingRequests,
  ) {
    const { readOnly, maxClients } = plan;
    this.methods = requests?.methods ?? (readOnly ? READ_METHODS : STREAM_METHODS);
    this.maxBody = clientParts.maxMessage;
    this.readers = { ...clientParts, readOnly: 'you may read this stream, but not write to it' };
    this.places = maxClients === undefined ? undefined : new ClientPlaces(maxClients);
  }

  async prepare(): Promise<void> {
    await this.channels.prepare?.();
  }

  begin(): void {
    this.channels.begin?.();
    if (this.plan.boot) this.channels.boot();
  }

  /**
   * Everything that may refuse a client happens here, before the 101. At once where a source runs already: then the engine can send the
   * 101 in one piece, and no client can leave in between.
   */
  handle(call: Call): Answer | Promise<Answer> {
    this.refuseIfRetired();
    const { request, handshake } = call;
    const transport = transportOf(request.method, request.query, request.headers, handshake !== undefined);
    if (transport === 'post') return this.requests?.answer(call) ?? this.post(call);
    const last = lastEventId(request);
    // An EventSource that comes again though its stream was over: no content tells it to stay away (HTML standard, section 9.2.3).
    if (transport === 'events' && last === ENDED_ID)
      return { status: 204, headers: [['cache-control', 'no-store']], body: undefined };
    if (transport === 'lookup') return this.lookup(call);
    if (transport === 'long-poll') return this.longPoll(call);
    if (transport === 'last') return this.last(call);
    if (request.method === 'HEAD') return this.head(call, transport);
    call.endless();
    const after = queryValue(request.query, 'after');
    const from = transport === 'websocket' ? after : (last ?? after);
    const reservation =
      this.places?.reserve(() => this.channels.reserve(call, transport, from)) ??
      this.channels.reserve(call, transport, from);
    if (!(reservation instanceof Promise)) return this.accept(call, transport, after !== undefined, reservation);
    return reservation.then((ready) => this.accept(call, transport, after !== undefined, ready));
  }

  takesLive(request: ClientRequest): boolean {
    return this.requests?.takesLive(request) === true;
  }

  status(): RouteFacts {
    const { share } = this.plan;
    return { stream: { source: this.source, share, ...this.channels.status() } };
  }

  endClient(name: string): boolean {
    return this.channels.endClient(name, ENDED_BY_OPERATOR);
  }

  retire(reason: string): void {
    this.retired = reason;
    this.requests?.finish(reason);
    this.channels.finish({ code: CLOSE.goingAway, reason });
  }

  close(): Promise<void> {
    return this.channels.close();
  }

  private refuseIfRetired(): void {
    if (this.retired !== undefined) throw new Superseded(this.retired);
  }

  /** @param numbered whether the client has asked for ids */
  private accept(call: Call, transport: CountedTransport, numbered: boolean, reservation: Reservation): Answer {
    if (this.retired !== undefined) {
      reservation.cancel();
      throw new Superseded(this.retired);
    }
    if (transport !== 'websocket') return this.response(call, transport, reservation);
    // In the client's order of preference; without a common one the upgrade goes on without (RFC 6455 section 4.2.2).
    const protocol = call.handshake?.protocols.find((name) => this.plan.subprotocols.includes(name));
    const parts = call.mayWrite === false ? this.readers : this.clientParts;
    return acceptWebSocket(parts, { numbered, protocol }, reservation);
  }

  private response({ request }: Call, transport: CountedTransport, reservation: Reservation): Reply {
    const { binary, keepAlive } = this.clientParts;
    if (transport === 'parts') {
      const response = this.parts.response(wantsPicture(request.headers));
      return acceptResponse(this.clientParts, response, transport, reservation);
    }
    const form: ResponseForm =
      transport === 'events' ? eventStream(binary, keepAlive.pingInterval) : plainStream(binary);
    return acceptResponse(this.clientParts, formed(form, transport), transport, reservation);
  }

  /** How a GET would begin, and where a shared stream is. Nothing is started for it. */
  private head(call: Call, transport: CountedTransport): Reply {
    const reply = this.response(call, transport, NO_CLIENT);
    return this.plan.share === 'client' ? reply : withHeaders(reply, newestId(this.channels.past(call)));
  }

  private lookup(call: Call): Answer | Promise<Answer> {
    if (this.plan.share === 'client')
      return textReply(400, 'only a shared stream has past messages: share = "all" or "query"\n');
    return answerLookup(call.request.query, this.channels.past(call));
  }

  /** Also for HEAD: it is the answer to a GET. */
  private last(call: Call): Answer | Promise<Answer> {
    if (this.plan.share === 'client')
      return textReply(400, 'only a shared stream has a last message: share = "all" or "query"\n');
    const answer = async (): Promise<Answer> => {
      const channel = this.channels.shared(call);
      await channel.ready();
      this.refuseIfRetired();
      return await answerLast(call, channel, this.clientParts.counts, this.plan.lastHolds === true);
    };
    call.endless();
    return this.places?.during(answer) ?? answer();
  }

  private longPoll(call: Call): Answer | Promise<Answer> {
    if (this.plan.share === 'client') throw new HttpError(400, 'long-polling needs a shared stream: share = "all"');
    if (call.request.method === 'HEAD') return this.head(call, 'poll');
    call.endless();
    return this.places?.during(() => this.news(call)) ?? this.news(call);
  }

  /** What a long-poll waits for. */
  private news(call: Call): Answer | Promise<Answer> {
    const { clientParts } = this;
    const channel = this.channels.shared(call);
    const { longPolls } = channel;
    const ended = answerAfterEnd(call, longPolls, clientParts);
    if (ended !== undefined) return ended;
    const ready = channel.ready();
    if (ready === undefined) return answerLongPoll(call, longPolls, clientParts);
    return ready.then(() => {
      this.refuseIfRetired();
      return answerLongPoll(call, longPolls, clientParts);
    });
  }

  /** A message of a client whose connection only goes one way, or of one that has none. */
  private async post(call: Call): Promise<Answer> {
    const sender = await this.channels.sender(call);
    this.refuseIfRetired();
    sender.spoke();
    const type = headerValue(call.request.headers, 'content-type');
    const message = await bodyBytes(call.body, this.clientParts.maxMessage);
    this.refuseIfRetired();
    const result = sender.send(message, type);
    const answer = result instanceof Promise ? await untilAborted(result, call.signal) : result;
    if (answer === 'away') throw noRoom(this.plan.away);
    if (answer === 'full') throw noRoom(this.plan.overrun);
    if (answer === 'sent') return textReply(202, 'sent\n');
    return {
      status: answer.status,
      headers: [
        ['content-type', answer.type ?? 'text/plain; charset=utf-8'],
        ['cache-control', 'no-store'],
      ],
      body: answer.data,
    };
  }
}
