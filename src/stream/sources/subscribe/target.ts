/** Makes the source of one channel: how its upstream is connected to, and where its viewers' messages go. */
import { type Framing, framing } from '../../framing.ts';
import { largestMessage, USUAL_PICTURE } from '../../keys.ts';
import type { SourceParts } from '../kind.ts';
import { joinQueries } from '../poll/cursor.ts';
import { SourceServer } from '../poll/source-server.ts';
import type { SharedSource, SharedSourceEvents } from '../source.ts';
import type { SubscribeAddress } from './address.ts';
import { bytesTarget } from './bytes.ts';
import { httpTarget } from './http.ts';
import { POSTS_AT_ONCE, Posts } from './posts.ts';
import { SubscribedSource } from './subscribed.ts';
import type { ResumePoint, SubscriptionTarget } from './subscription.ts';
import { webSocketTarget } from './websocket.ts';

/** How long the head of an answer may take where `silence_timeout` says nothing. Milliseconds. */
const HEAD_TIME = 60_000;

/** @param query what of viewers' queries tells channels apart. Throws an `Error` for a file of authorities that cannot be read. */
export function subscribedSource(
  parts: SourceParts,
  address: SubscribeAddress,
  query: string,
  resume: ResumePoint,
  events: SharedSourceEvents,
): SharedSource {
  const { key: route, config, plan, log, tallies } = parts;
  const { target, closed } = targetOf(parts, address, query);
  return new SubscribedSource(
    {
      route,
      target,
      messages: address.kind === 'http' ? postsOf(parts, query) : 'connection',
      resume,
      backoff: plan.backoff,
      silence: config.silence_timeout,
      log,
      tallies,
      closed,
    },
    events,
  );
}

function targetOf(
  parts: SourceParts,
  address: SubscribeAddress,
  query: string,
): { readonly target: SubscriptionTarget; readonly closed: () => void } {
  const { config, plan, version } = parts;
  const { silence_timeout: headTime = HEAD_TIME } = config;
  const maxMessage = largestMessage(config);
  const { maxQueue, subprotocols } = plan;
  if (address.kind === 'bytes') {
    const timeout = config.connect_timeout;
    const common = { framing: parts.framing, maxMessage, timeout, maxQueue };
    return { target: bytesTarget({ ...common, address, trust: config }), closed: () => undefined };
  }
  const url = new URL(address.url);
  const server = new SourceServer({ url, config, version, maxConnections: 1, connectTimeout: config.connect_timeout });
  const http = { server, target: withQuery(url, query), headTime };
  const target =
    address.kind === 'websocket'
      ? webSocketTarget({ ...http, subprotocols, maxMessage, maxQueue, pingInterval: config.ping_interval })
      : httpTarget({
          ...http,
          rules: {
            framing: chosenFraming(parts),
            events: config.events && new Set(config.events),
            message: config.message === 'event' ? 'event' : 'data',
            maxMessage,
            maxPart: config.max_message ?? USUAL_PICTURE,
          },
        });
  return { target, closed: () => server.close() };
}

function chosenFraming({ config }: SourceParts): Framing | undefined {
  return config.framing === undefined ? undefined : framing(config.framing);
}

function postsOf({ config, plan, version }: SourceParts, query: string): Posts | undefined {
  if (config.post === undefined) return undefined;
  const url = new URL(config.post);
  return new Posts({
    server: new SourceServer({
      url,
      config,
      version,
      maxConnections: POSTS_AT_ONCE,
      connectTimeout: config.connect_timeout,
    }),
    target: withQuery(url, query),
    messageType: config.message_type,
    maxMessage: largestMessage(config),
    maxQueue: plan.maxQueue,
  });
}

function withQuery({ pathname, search }: URL, query: string): string {
  const whole = joinQueries(search.slice(1), query);
  return whole === '' ? pathname : `${pathname}?${whole}`;
}
