/** `share = "all" | "query" | "credentials"`: one channel and one source for all clients that would get the same. */
import { createHash } from 'node:crypto';
import { HttpError } from '../../http/errors.ts';
import type { Call } from '../../http/handler.ts';
import { hostNumber } from '../../net/address.ts';
import { queryValue } from '../../net/query.ts';
import { noRoom } from '../../programs/start-error.ts';
import { textOf } from '../../routing/canonical-path.ts';
import type { ClientEvents, ClientParts, Reservation } from '../clients/client.ts';
import { streamQuery, type Transport } from '../clients/transport.ts';
import { newEpoch } from '../history/epochs.ts';
import type { HeldHistory, Histories } from '../history/histories.ts';
import { History } from '../history/history.ts';
import { CLOSE, type Ending } from '../message.ts';
import type { StreamPlan } from '../plan.ts';
import type { ClientFacts, MessageAnswer, SendResult, SharedSources } from '../sources/source.ts';
import type { Channels, Sender } from './channels.ts';
import type { Member } from './member.ts';
import { SharedChannel } from './shared.ts';
import { type ChannelFacts, channelName, factsOfChannels, parseClientName } from './status.ts';

export class SharedChannels implements Channels {
  private readonly channels = new Map<string, SharedChannel>();
  private open: Histories | undefined;
  /** What is kept on the disk, of a stream that all share. */
  private held: HeldHistory | undefined;
  private over = false;
  /** Channels so far. */
  private opened = 0;

  constructor(
    private readonly plan: StreamPlan,
    private readonly clientParts: ClientParts,
    private readonly sources: SharedSources,
    private readonly histories?: () => Promise<Histories>,
  ) {}

  async prepare(): Promise<void> {
    const { historyFile, history: bounds } = this.plan;
    if (historyFile === undefined || this.histories === undefined) return;
    this.open = await this.histories();
    const { binary, counts } = this.clientParts;
    const held = await this.open.take({
      ...historyFile,
      bounds,
      binary: binary && !this.plan.mixed,
      route: counts.route,
    });
    if (this.over) held.giveBack();
    else this.held = held;
  }

  begin(): void {
    this.held?.use();
  }

  reserve(call: Call, _transport: Transport, after: string | undefined): Reservation | Promise<Reservation> {
    const channel = this.shared(call);
    return this.whenReady(channel, () => ({
      join: (client) => {
        const member = channel.join(client, after, factsOf(call));
        return new SharedClientEvents(channel, member);
      },
      // The channel has not been told of anybody; a source that was started for this client ends with `idle_stop`.
      cancel: () => undefined,
    }));
  }

  shared(call: Call): SharedChannel {
    const query = this.queryOf(call);
    return this.channel(this.keyOf(call, query), call, query);
  }

  past(call: Call): History | undefined {
    if (this.plan.share === 'all') return this.shared(call).history;
    return this.channels.get(this.keyOf(call, this.queryOf(call)))?.history;
  }

  sender(call: Call): Sender | Promise<Sender> {
    const channel = this.shared(call);
    return this.whenReady(channel, () => {
      const member = senderOf(call, channel);
      return {
        spoke: () => member?.client.spoke(),
        send: (message, type) => channel.send(member, message, type),
      };
    });
  }

  boot(): void {
    this.channel('', undefined, '').boot();
  }

  finish(ending: Ending): void {
    this.over = true;
    for (const channel of this.channels.values()) channel.finish(ending);
    this.held?.giveBack();
  }

  async close(): Promise<void> {
    await this.open?.settled();
  }

  status(): ReturnType<Channels['status']> {
    return factsOfChannels(this.statuses());
  }

  endClient(name: string, ending: Ending): boolean {
    const found = parseClientName(name);
    if (found === undefined) return false;
    // By its number, not by its place: another channel may stand there since somebody has looked.
    const channel = [...this.channels.values()].find(({ number }) => String(number) === found.channel);
    return channel?.endClient(found.id, ending) === true;
  }

  private *statuses(): Iterable<ChannelFacts> {
    const { share } = this.plan;
    // Whose credentials a channel is for is in no name, and what it says is for nobody else.
    for (const [key, channel] of this.channels)
      yield channel.status(channelName(share === 'credentials' ? '' : key), share !== 'credentials');
  }

  /** @param use called at once where a source runs already, otherwise when it does */
  private whenReady<T>(channel: SharedChannel, use: () => T | Promise<T>): T | Promise<T> {
    const ready = channel.ready();
    return ready === undefined ? use() : ready.then(use);
  }

  private queryOf(call: Call): string {
    return this.plan.share === 'all' ? '' : streamQuery(call.request.query);
  }

  private keyOf(call: Call, query: string): string {
    if (this.plan.share !== 'credentials') return query;
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
    const { plan, clientParts } = this;
    if (this.channels.size >= plan.maxChannels) this.makeRoom();
    if (this.channels.size >= plan.maxChannels)
      throw noRoom(`${this.channels.size} shared streams of this route are open already (max_processes)`);
    // Only whose credentials are passed on is remembered as long as the channel lives.
    const asked = plan.share === 'credentials' ? first : undefined;
    const channel = new SharedChannel(
      this.held?.history ?? new History(newEpoch(), plan.history),
      {
        ...plan,
        restart: plan.backoff,
        restartWanted: (ending) =>
          plan.restart === 'always' || (plan.restart === 'on-failure' && ending.code !== CLOSE.normal),
        binary: clientParts.binary,
        picture: clientParts.picture,
      },
      {
        number: this.opened++,
        counts: clientParts.counts,
        log: clientParts.log,
        start: (events) => this.sources.start(asked, query, events),
        emptied: () => this.forget(key, channel),
      },
    );
    this.channels.set(key, channel);
    return channel;
  }

  /** The one of a stream that all share stays, with its history and its numbers. */
  private forget(key: string, channel: SharedChannel): void {
    if (this.plan.share !== 'all' && this.channels.get(key) === channel) this.channels.delete(key);
  }

  /** Closes a channel without clients before its idle_stop is over. */
  private makeRoom(): void {
    for (const [key, channel] of this.channels) {
      if (!channel.unused) continue;
      channel.finish({ code: CLOSE.goingAway, reason: 'no client is left' });
      this.channels.delete(key);
      return;
    }
  }
}

/** One for each viewer: an object without closures. */
class SharedClientEvents implements ClientEvents {
  constructor(
    private readonly channel: SharedChannel,
    private readonly member: Member,
  ) {}

  message(data: Buffer, binary: boolean): void {
    const { channel, member } = this;
    const result = channel.send(member, data, undefined, binary);
    if (typeof result === 'string') this.sent(result);
    else
      result.then(
        (answer) => this.sent(answer),
        (error: unknown) => channel.tellUnanswered(member, error instanceof Error ? error.message : String(error)),
      );
  }

  drain(): void {
    this.channel.clientDrain(this.member);
  }

  close(ending: Ending): void {
    this.channel.close(this.member, ending);
  }

  vanished(): void {
    this.channel.vanished(this.member);
  }

  left(): void {
    this.channel.leave(this.member);
  }

  private sent(result: SendResult | MessageAnswer): void {
    const { channel, member } = this;
    if (result === 'full') channel.overrun(member);
    else if (result === 'away') channel.tellLost(member);
    else if (result !== 'sent' && result.data.length > 0) channel.answer(member, result.data);
  }
}

/** The sender of a POST; undefined for one that does not say who it is. A name is believed only with the session that was told to its owner. */
function senderOf(call: Call, channel: SharedChannel): Member | undefined {
  const { query } = call.request;
  const [name, session] = [queryValue(query, 'client'), queryValue(query, 'session')];
  if (name === undefined && session === undefined) return undefined;
  if (session === undefined) throw new HttpError(403, 'the session is missing; the event "joined" names it');
  const member = channel.sender(session, call.user);
  if (member === undefined) throw new HttpError(404, 'no client of this stream and of this user has this session');
  if (name !== undefined && name !== member.id) throw new HttpError(403, 'the session belongs to another client');
  return member;
}

function factsOf(call: Call): ClientFacts {
  return {
    address: hostNumber(call.request.remoteAddress),
    query: textOf(streamQuery(call.request.query)),
    user: call.user,
  };
}
