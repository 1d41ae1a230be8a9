/** `share = "client"`: a channel and a source of its own for each client. */
import { HttpError } from '../../http/errors.ts';
import type { Call } from '../../http/handler.ts';
import { queryValue } from '../../net/query.ts';
import type { Client, ClientEvents, ClientParts, Reservation } from '../clients/client.ts';
import type { Transport } from '../clients/transport.ts';
import { CLOSE, type Ending } from '../message.ts';
import type { StreamPlan } from '../plan.ts';
import { Backoff } from '../sources/backoff.ts';
import type { PrivateSources, StartedSource } from '../sources/source.ts';
import type { Channels, Sender } from './channels.ts';
import { PrivateChannel, type Restart } from './private.ts';
import { Sessions } from './sessions.ts';
import { type ChannelFacts, factsOfChannels, parseClientName } from './status.ts';

export class PrivateChannels implements Channels {
  private readonly channels = new Set<PrivateChannel>();
  /** Clients that cannot send over their own connection, by the number that their session has. */
  private readonly senders = new Map<number, PrivateChannel>();
  private readonly sessions = new Sessions();
  private joined = 0;
  /** Of all, from now on. */
  private ending: Ending | undefined;

  constructor(
    private readonly plan: StreamPlan,
    private readonly clientParts: ClientParts,
    private readonly sources: PrivateSources,
  ) {}

  async reserve(call: Call, transport: Transport): Promise<Reservation> {
    const started = await this.sources.start(call);
    const number = ++this.joined;
    const hasSession = transport !== 'websocket';
    return {
      join: (client) => {
        const connect = started.take();
        return connect === undefined ? undefined : this.join(call, client, connect, { number, hasSession });
      },
      cancel: () => started.giveBack(),
    };
  }

  shared(): never {
    throw new TypeError('each client has a channel of its own');
  }

  past(): never {
    return this.shared();
  }

  sender(call: Call): Sender {
    const number = this.sessions.numberOf(queryValue(call.request.query, 'session') ?? '', call.user);
    const channel = number === undefined ? undefined : this.senders.get(number);
    if (channel === undefined)
      throw new HttpError(404, 'no such session; the first event of the stream names the session');
    return channel;
  }

  boot(): void {}

  status(): ReturnType<Channels['status']> {
    return factsOfChannels(this.statuses());
  }

  endClient(name: string, ending: Ending): boolean {
    const id = parseClientName(name)?.id;
    const channel = [...this.channels].find((each) => each.id === id);
    channel?.finish(ending);
    return channel !== undefined;
  }

  private *statuses(): Iterable<ChannelFacts> {
    for (const channel of this.channels) yield channel.status();
  }

  finish(ending: Ending): void {
    this.ending = ending;
    for (const channel of [...this.channels]) channel.finish(ending);
  }

  close(): Promise<void> {
    return this.sources.close();
  }

  private join(
    call: Call,
    client: Client,
    connect: StartedSource,
    arrival: { readonly number: number; readonly hasSession: boolean },
  ): ClientEvents {
    const { plan } = this;
    const { counts, log, binary, picture } = this.clientParts;
    const { maxQueue, drainTimeout, eofMessage } = plan;
    const { number, hasSession } = arrival;
    const { remoteAddress: address } = call.request;
    const facts = { address, query: '', user: call.user };
    const restart = this.restart(call);
    const options = { maxQueue, drainTimeout, eofMessage, restart, binary, picture, number, facts };
    const channel = new PrivateChannel(options, counts, log, () => {
      this.channels.delete(channel);
      this.senders.delete(number);
    });
    this.channels.add(channel);
    if (hasSession) this.senders.set(number, channel);
    client.notice({
      kind: 'joined',
      id: '',
      facts: hasSession ? { session: this.sessions.issue(number, call.user) } : {},
    });
    channel.join(client, connect);
    // It was let in, and then took a while to arrive.
    if (this.ending !== undefined) channel.finish(this.ending);
    return {
      message: (data) => {
        if (channel.send(data) === 'full') channel.overrun(plan.overrun);
      },
      drain: () => channel.clientDrain(),
      close: (ending) => channel.finish(ending),
      vanished: () => channel.abort('client_vanished', 'a client did not answer its pings and was disconnected'),
      left: () => channel.clientLeft(),
    };
  }

  private restart(call: Call): Restart | undefined {
    const { restart, backoff } = this.plan;
    if (restart === 'never') return undefined;
    return {
      wanted: (ending) => restart === 'always' || ending.code !== CLOSE.normal,
      backoff: new Backoff(backoff),
      start: async (events) => {
        const connect = (await this.sources.start(call)).take();
        if (connect === undefined) throw call.signal.reason;
        return connect(events);
      },
    };
  }
}
