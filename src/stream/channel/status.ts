/** What channels tell the operator: viewers, what waits for them, the last messages. Computed only while somebody looks. */
import { hideValues } from '../../net/query.ts';
import type { ChannelStatus, ClientStatus, MessageStatus, SourceStatus, StreamFacts } from '../../ops/status.ts';
import { visible } from '../../ops/visible.ts';
import type { Client } from '../clients/client.ts';
import { portionFrom } from '../history/chain.ts';
import type { History } from '../history/history.ts';
import type { Message } from '../message.ts';
import type { ClientFacts } from '../sources/source.ts';

/** Of each stream, and of each channel: the page stays a page, however many there are. */
const MOST_CHANNELS = 20;
const MOST_CLIENTS = 20;
/** Messages that are shown, characters of each, and bytes of a binary one. */
const LAST = 3;
const LONGEST = 160;
const LONGEST_BINARY = 32;
/** In a longer history only the newest is looked for: the others would be reached from its beginning. */
const SHORT_HISTORY = 1000;

/** A viewer with a connection. */
export interface Viewer {
  readonly id: string;
  readonly client: Client;
  readonly facts: ClientFacts;
  /** Bytes that wait for it in the chain. */
  readonly waiting: number;
}

/** A channel before its clients are named and counted. */
export interface ChannelFacts {
  /** Stays its own as long as it is there, and is no other's after it. */
  readonly id: string;
  readonly name: string;
  readonly source: SourceStatus;
  readonly restarts: number;
  readonly history?: History;
  /** Whether its messages may be shown. */
  readonly shown: boolean;
  readonly viewers: Iterable<Viewer>;
  /** Long-polls that wait. */
  readonly polls: number;
}

/** Sums up the channels of a stream. */
export function factsOfChannels(channels: Iterable<ChannelFacts>): Omit<StreamFacts, 'source' | 'share'> {
  const transports: { [name: string]: number } = {};
  const listed: ChannelStatus[] = [];
  let [viewers, behind, backlog, channelCount] = [0, 0, 0, 0];
  for (const channel of channels) {
    const place = channelCount++;
    const clients: ClientStatus[] = [];
    let own = channel.polls;
    if (channel.polls > 0) transports['poll'] = (transports['poll'] ?? 0) + channel.polls;
    for (const { id, client, facts, waiting } of channel.viewers) {
      own++;
      const bytes = client.bufferedAmount + waiting;
      const { transport } = client;
      transports[transport] = (transports[transport] ?? 0) + 1;
      backlog += bytes;
      if (bytes > 0) behind++;
      if (clients.length >= MOST_CLIENTS || place >= MOST_CHANNELS) continue;
      const { address, user } = facts;
      clients.push({
        ...{ name: `${channel.id}.${id}`, transport, address, backlog: bytes },
        ...(user === undefined ? {} : { user: user.name }),
      });
    }
    viewers += own;
    if (place < MOST_CHANNELS) listed.push(channelStatus(channel, own, clients));
  }
  return { viewers, transports, behind, backlog, channels: listed, channelCount };
}

function channelStatus(channel: ChannelFacts, viewers: number, clients: readonly ClientStatus[]): ChannelStatus {
  const { id, name, source, restarts, history, shown } = channel;
  return {
    ...{ id, name, source, restarts, viewers, clients },
    ...(history?.size() ?? { kept: 0, keptBytes: 0 }),
    last: history === undefined || !shown ? [] : lastMessages(history),
  };
}

/** The channel and the viewer that such a name of `factsOfChannels` means. */
export function parseClientName(name: string): { readonly channel: string; readonly id: string } | undefined {
  const match = /^([\w-]{1,40})\.([\w-]{1,40})$/.exec(name);
  return match === null ? undefined : { channel: match[1] ?? '', id: match[2] ?? '' };
}

/** Names of parameters that look like secrets. */
const SECRET = /tok|secr|sess|pass|pwd|key|auth|sig|cred|code|jwt|bearer/i;

/** What of a query tells channels apart, without what may be a secret. */
export function channelName(query: string): string {
  if (query === '') return '';
  return cut(`?${hideValues(query.slice(0, 400), SECRET)}`);
}

function lastMessages(history: History): readonly MessageStatus[] {
  const { kept } = history.size();
  const from = kept <= SHORT_HISTORY ? history.positionAfter(history.end.sequence - LAST) : history.beforeLast();
  const { batch } = portionFrom(from, Number.POSITIVE_INFINITY);
  return batch.slice(-LAST).reverse().map(messageStatus);
}

function messageStatus({ id, data, binary }: Message): MessageStatus {
  const text = binary ? data.toString('hex', 0, LONGEST_BINARY) : cut(data.toString('utf8', 0, LONGEST * 4));
  return { id, text, binary, bytes: data.length };
}

function cut(text: string): string {
  return visible(text.length <= LONGEST ? text : `${text.slice(0, LONGEST)} …`);
}
