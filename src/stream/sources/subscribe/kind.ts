/** `subscribe`: a server that pushes, connected to once for all viewers. */
import { usualHistory, usualReplay } from '../../plan.ts';
import type { SourceKind } from '../kind.ts';
import type { SharedSourceEvents } from '../source.ts';
import { subscribeChecks } from './checks.ts';
import type { ResumePoint } from './subscription.ts';

export const subscribeKind: SourceKind = {
  name: 'subscribe',
  checks: subscribeChecks,
  usualShare: 'all',
  overrun: 'you send faster than the upstream reads',
  away: 'the source of this stream is not connected',
  // What ends in good order was ended by the upstream for good.
  usualRestart: 'on-failure',
  takesMessages: ({ subscribe, post }) => subscribe?.kind !== 'http' || post !== undefined,
  isMixed: ({ subscribe, framing }) =>
    subscribe?.kind === 'websocket' || (subscribe?.kind === 'http' && framing === undefined),
  usualReplay,
  usualHistory,
  shared(parts) {
    const { subscribe } = parts.config;
    if (subscribe === undefined) throw new TypeError(`stream "${parts.key}" subscribes to nothing`);
    // Where the upstream was, for the next source of the same channel.
    const known = new WeakMap<SharedSourceEvents, ResumePoint>();
    return {
      async start(_first, query, events) {
        // Loaded here, because few gateways are clients themselves.
        const { subscribedSource } = await import('./target.ts');
        const resume = known.get(events) ?? { lastEventId: undefined };
        known.set(events, resume);
        return subscribedSource(parts, subscribe, query, resume, events);
      },
    };
  },
};
