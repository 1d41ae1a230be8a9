/** `share = "all" | "query" | "credentials"`: one source for all clients that would get the same. */
import { createHash, randomBytes } from 'node:crypto';
import { headerValue } from '../engine/engine.ts';
import { bodyBytes } from '../http/body-bytes.ts';
import { HttpError, Superseded } from '../http/errors.ts';
import type { Answer, Call, Handler } from '../http/handler.ts';
import { textReply } from '../http/reply.ts';
import { hostNumber } from '../net/address.ts';
import { untilAborted } from '../ownership/until-aborted.ts';
import { noRoom } from '../programs/start-error.ts';
import { textOf } from '../routing/canonical-path.ts';
import type { ClientFacts, Member } from './channel/member.ts';
import type { SharedOptions } from './channel/options.ts';
import { SharedChannel } from './channel/shared.ts';
import {
  acceptResponse,
  acceptWebSocket,
  type ClientEvents,
  type ClientParts,
  NO_CLIENT,
  type Reservation,
  refuseReturn,
} from './clients/accept.ts';
import { answerAfterEnd, answerLongPoll } from './clients/long-poll.ts';
import { eventStream, plainStream, type ResponseForm } from './clients/response.ts';
import { lastEventId, queryValue, streamQuery, type Transport, transportOf } from './clients/transport.ts';
import type { Source, SourceEvents } from './ends.ts';
import { CLOSE, type Ending } from './message.ts';
import { STREAM_METHODS, type StreamPlan } from './plan.ts';

export interface SharedStreamParts {
  readonly plan: StreamPlan;
  readonly clientParts: ClientParts;
  readonly options: Omit<SharedOptions, 'history' | 'replay' | 'restart' | 'restartWanted'>;
  /** How many channels there may be: distinct queries, or distinct credentials. */
  readonly maxChannels: number;
  /** `start = "boot"` */
  readonly boot: boolean;
  /** Milliseconds that a long-poll waits for news. */
  readonly longPollWait: number;
  /** The subprotocol to agree on, of those that the client offers. */
  protocol(offered: readonly string[]): string | undefined;
  /** Starts the source of a channel. @param first the call whose credentials it passes on, where `share` says so */
  start(first: Call | undefined, query: string, events: SourceEvents): Promise<Source>;
}

export class SharedStream implements Handler {
  readonly kind = 'stream';
  readonly methods = STREAM_METHODS;
  readonly takesBody = true;
  readonly crossSite = 'same-origin';
  readonly pacesItself = true;
  private readonly channels = new Map<string, SharedChannel>();
  /** Why nobody new is let in. */
  private stopping: string | undefined;

  constructor(private readonly parts: SharedStreamParts) {}

  begin(): void {
    if (this.parts.boot) this.channel('', undefined, '').boot();
  }

  /** At once where a source runs already: then the engine can send the 101 in one piece, and nobody can leave in between. */
  handle(call: Call): Answer | Promise<Answer> {
    if (this.stopping !== undefined) throw new Superseded(this.stopping);
    const { request, handshake } = call;
    const transport = transportOf(request.method, request.query, request.headers, handshake !== undefined);
    const refused = refuseReturn(call, transport);
    if (refused !== undefined) return refused;
    const query = this.parts.plan.share === 'all' ? '' : streamQuery(request.query);
    if (request.method === 'HEAD')
      return acceptResponse(this.parts.clientParts, this.form(transport), transport, NO_CLIENT);
    if (transport !== 'post') call.endless();
    const key = this.keyOf(call, query);
    const channel = this.channel(key, call, query);
    if (transport === 'long-poll') {
      const over = answerAfterEnd(call, channel, this.parts.clientParts);
      if (over !== undefined) return over;
    }
    const ready = channel.ready();
    if (ready === undefined) return this.enter(call, channel, transport);
    return ready.then(
      () => this.enter(call, channel, transport),
      (error: unknown) => {
        if (channel.unused) this.forget(key, channel);
        throw error;
      },
    );
  }

  /** The channel has a source, or will have one. */
  private enter(call: Call, channel: SharedChannel, transport: Transport): Answer | Promise<Answer> {
    const { request, handshake } = call;
    if (this.stopping !== undefined) throw new Superseded(this.stopping);
    if (transport === 'post') return this.post(call, channel);
    if (transport === 'long-poll')
      return answerLongPoll(call, channel, this.parts.clientParts, this.parts.longPollWait);
    const after = queryValue(request.query, 'after');
    if (transport === 'websocket') {
      const protocol = this.parts.protocol(handshake?.protocols ?? []);
      const reservation = this.reservation(channel, call, after);
      return acceptWebSocket(this.parts.clientParts, call, { numbered: after !== undefined, protocol }, reservation);
    }
    const last = lastEventId(request) ?? after;
    return acceptResponse(
      this.parts.clientParts,
      this.form(transport),
      transport,
      this.reservation(channel, call, last),
    );
  }

  retire(reason: string): void {
    this.stopping = reason;
    for (const channel of this.channels.values()) channel.finish({ code: CLOSE.goingAway, reason });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private form(transport: Transport): ResponseForm {
    const { binary, keepAlive } = this.parts.clientParts;
    return transport === 'events' ? eventStream(binary, keepAlive.pingInterval) : plainStream(binary);
  }

  private keyOf(call: Call, query: string): string {
    if (this.parts.plan.share !== 'credentials') return query;
    const { headers } = call.request;
    // Every field, since a program sees them all; as JSON, so that no two lists of them are one text.
    const credentials = JSON.stringify([
      call.user === undefined ? null : [call.user.type, call.user.name],
      headers.filter(([name]) => name === 'cookie' || name === 'authorization'),
    ]);
    // A digest: the credentials themselves are not kept as a key.
    return `${createHash('sha256').update(credentials).digest('base64')}\n${query}`;
  }

  private channel(key: string, first: Call | undefined, query: string): SharedChannel {
    const known = this.channels.get(key);
    if (known !== undefined) return known;
    if (this.channels.size >= this.parts.maxChannels) this.makeRoom();
    if (this.channels.size >= this.parts.maxChannels)
      throw noRoom(`${this.channels.size} shared streams of this route are open already (max_processes)`);
    const { plan, clientParts, options } = this.parts;
    // Only whose credentials are passed on is remembered as long as the channel lives.
    const asked = plan.share === 'credentials' ? first : undefined;
    const channel = new SharedChannel(
      `${Date.now().toString(36)}${randomBytes(3).toString('hex')}`,
      {
        ...options,
        history: plan.history,
        replay: plan.replay,
        restart: plan.backoff,
        restartWanted: (ending) =>
          plan.restart === 'always' || (plan.restart === 'on-failure' && ending.code !== CLOSE.normal),
      },
      {
        counts: clientParts.counts,
        log: clientParts.log,
        start: (events) => this.parts.start(asked, query, events),
        emptied: () => this.forget(key, channel),
      },
    );
    this.channels.set(key, channel);
    return channel;
  }

  /** The one of a stream that all share stays, with its history and its numbers. */
  private forget(key: string, channel: SharedChannel): void {
    if (this.parts.plan.share !== 'all' && this.channels.get(key) === channel) this.channels.delete(key);
  }

  /** Closes one that nobody watches any more, before its idle_stop is over. */
  private makeRoom(): void {
    for (const [key, channel] of this.channels) {
      if (!channel.unused) continue;
      channel.finish({ code: CLOSE.goingAway, reason: 'nobody was there' });
      this.channels.delete(key);
      return;
    }
  }

  private reservation(channel: SharedChannel, call: Call, after: string | undefined): Reservation {
    const { parts } = this;
    return {
      join: (client) => new SharedClientEvents(channel, channel.join(client, after, factsOf(call)), parts),
      // The channel has not been told of anybody; a source that was started for this client ends with `idle_stop`.
      cancel: () => undefined,
    };
  }

  private async post(call: Call, channel: SharedChannel): Promise<Answer> {
    const member = speaker(call, channel);
    member?.client.spoke();
    const type = headerValue(call.request.headers, 'content-type');
    const message = await bodyBytes(call.body, this.parts.clientParts.maxMessage);
    if (this.stopping !== undefined) throw new Superseded(this.stopping);
    const answer = await untilAborted(channel.fromClient(member, message, type), call.signal);
    if (answer === 'away') throw noRoom('the program is being started again');
    if (answer === 'full') throw noRoom(this.parts.plan.overrun);
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

/** One for each viewer: an object without closures. */
class SharedClientEvents implements ClientEvents {
  constructor(
    private readonly channel: SharedChannel,
    private readonly member: Member,
    private readonly parts: SharedStreamParts,
  ) {}

  message(data: Buffer): void {
    const { channel, member } = this;
    channel.fromClient(member, data).then(
      (answer) => {
        if (answer === 'full') channel.close(member, { code: CLOSE.tryAgainLater, reason: this.parts.plan.overrun });
        else if (answer === 'away') channel.lost(member);
        else if (answer !== 'sent' && answer.data.length > 0) channel.answer(member, answer.data);
      },
      (error: unknown) => channel.unanswered(member, error instanceof Error ? error.message : String(error)),
    );
  }

  drain(): void {
    this.channel.clientDrain(this.member);
  }

  close(ending: Ending): void {
    this.channel.close(this.member, ending);
  }

  vanished(): void {
    this.parts.clientParts.counts.drop('client_vanished');
    this.member.client.terminate();
  }

  left(): void {
    this.channel.leave(this.member);
  }
}

/** Who sends by POST; undefined for somebody who does not say. A name is believed only with the session that was told to its owner. */
function speaker(call: Call, channel: SharedChannel): Member | undefined {
  const { query } = call.request;
  const [name, session] = [queryValue(query, 'client'), queryValue(query, 'session')];
  if (name === undefined && session === undefined) return undefined;
  if (session === undefined) throw new HttpError(403, 'a client is known by its session, which "joined" tells it');
  const member = channel.speaker(session, call.user);
  if (member === undefined) throw new HttpError(404, 'no client of this stream and of this user has this session');
  if (name !== undefined && name !== member.id) throw new HttpError(403, 'the session is that of another client');
  return member;
}

function factsOf(call: Call): ClientFacts {
  return {
    address: hostNumber(call.request.remoteAddress),
    query: textOf(streamQuery(call.request.query)),
    user: call.user,
  };
}
