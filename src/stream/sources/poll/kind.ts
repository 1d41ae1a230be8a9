/** `poll`: a program, a route of this gateway or a server is asked again and again, once for all clients. */

import type { HeaderList } from '../../../engine/engine.ts';
import type { Call } from '../../../http/handler.ts';
import { hostOf } from '../../../routing/route-key.ts';
import { largestMessage, type StreamConfig } from '../../keys.ts';
import { usualHistory, usualReplay } from '../../plan.ts';
import type { SourceKind, SourceParts } from '../kind.ts';
import { always, StreamPrograms } from '../program/start.ts';
import type { SharedSourceEvents } from '../source.ts';
import { pollChecks } from './checks.ts';
import { pollCommand } from './command.ts';
import { NOTHING_KNOWN, type PollRules } from './plan.ts';
import { type ChannelMemory, PolledSource } from './polled.ts';
import { pollRoute } from './route.ts';
import type { PollTarget } from './target.ts';

export const pollKind: SourceKind = {
  name: 'poll',
  checks: pollChecks,
  usualShare: 'all',
  overrun: 'you send faster than the source answers',
  // The last whole answer is all that a newcomer needs.
  usualReplay: (config) => (config.message === 'lines' && config.history !== undefined ? usualReplay(config) : 'last'),
  usualHistory: (config) => {
    const usual = usualHistory();
    return { ...usual, bytes: Math.max(usual.bytes, largestMessage(config)) };
  },
  shared(parts) {
    const { key: route, config, plan, log, tallies } = parts;
    const target = targetOf(parts);
    // What the clients of each channel have, for the next source of the same channel.
    const known = new WeakMap<SharedSourceEvents, ChannelMemory>();
    return {
      async start(first, query, events) {
        const channel = known.get(events) ?? { memory: NOTHING_KNOWN };
        known.set(events, channel);
        return new PolledSource(
          {
            route,
            target: await target(plan.share === 'credentials' ? first : undefined),
            rules: { message: partOf(config), cursor: config.cursor, maxMessage: largestMessage(config) },
            queries: [ownQuery(config.poll), query],
            interval: config.interval,
            timeout: config.poll_timeout,
            backoff: plan.backoff,
            maxQueue: plan.maxQueue,
            messageType: config.message_type,
            channel,
            log,
            tallies,
          },
          events,
        );
      },
    };
  },
};

/** @returns what makes the target of a channel. Its argument is the call whose credentials are passed on. */
function targetOf(parts: SourceParts): (first: Call | undefined) => PollTarget | Promise<PollTarget> {
  const { key, find, version, config } = parts;
  const { poll } = config;
  if (poll === undefined) throw new TypeError(`stream "${key}" polls nothing`);
  if (typeof poll !== 'string') {
    const programs = new StreamPrograms(always(poll, parts), parts);
    return (first) => pollCommand({ key, programs, ...credentialsOf(first) });
  }
  if (poll.startsWith('/')) {
    const path = poll.split('?', 1)[0] ?? poll;
    const route = { find, host: hostOf(key), path, id: key, patience: config.poll_timeout };
    return (first) => pollRoute({ ...route, ...credentialsOf(first) });
  }
  return async (first) => {
    // Loaded here, because few gateways are clients themselves.
    const { pollServer } = await import('./server.ts');
    return pollServer({ url: new URL(poll), config, version, headers: credentialsOf(first).headers });
  };
}

/** Which part of a response is a message. */
function partOf({ message = 'body' }: StreamConfig): PollRules['message'] {
  if (message === 'data' || message === 'event') throw new TypeError(`message = "${message}" is of no polled stream`);
  return message;
}

function ownQuery(poll: StreamConfig['poll']): string {
  const at = typeof poll === 'string' ? poll.indexOf('?') : -1;
  return at < 0 ? '' : String(poll).slice(at + 1);
}

/** All fields of a name in one, as a program that serves the client itself would see them (RFC 6265 section 5.4, RFC 9110 section 5.3). */
function credentialsOf(call: Call | undefined): { readonly headers: HeaderList; readonly user: Call['user'] } {
  if (call === undefined) return { headers: [], user: undefined };
  const separators = { cookie: '; ', authorization: ', ' };
  const headers = Object.entries(separators).flatMap(([wanted, separator]) => {
    const values = call.request.headers.filter(([name]) => name === wanted).map(([, value]) => value);
    return values.length === 0 ? [] : [[wanted, values.join(separator)] as const];
  });
  return { headers, user: call.user };
}
