/** Builds the sources of a polled stream: one for each channel, with what it is to ask. */

import type { HeaderList } from '../../../engine/engine.ts';
import type { Call } from '../../../http/handler.ts';
import type { Log } from '../../../ops/log.ts';
import type { Tallies } from '../../../ops/tallies.ts';
import type { Program } from '../../../process/programs.ts';
import type { CanonicalPath } from '../../../routing/canonical-path.ts';
import type { Match } from '../../../routing/router.ts';
import type { SourceEvents } from '../../ends.ts';
import type { StreamConfig } from '../../keys.ts';
import type { StreamPlan } from '../../plan.ts';
import type { StreamRequest } from '../program/start.ts';
import { pollCommand } from './command.ts';
import { NOTHING_KNOWN } from './plan.ts';
import { PolledSource, type Remembered } from './polled.ts';
import { type PolledRoute, pollRoute } from './route.ts';
import type { PollTarget } from './target.ts';

/** Which route serves a path on a host, once the gateway is built. */
export type FindRoute = (host: string, path: CanonicalPath) => Match<PolledRoute> | undefined;

export interface PolledParts {
  readonly key: string;
  readonly config: StreamConfig;
  readonly plan: StreamPlan;
  readonly log: Log;
  readonly tallies: Tallies;
  readonly version: string;
  readonly find: FindRoute;
  /** Starts the command, where it is one that is polled. */
  start(asked: StreamRequest): Promise<Program>;
  end(program: Program): void;
}

export class PolledStreams {
  /** What the viewers of each channel have, for the next source of the same channel. */
  private readonly remembered = new WeakMap<SourceEvents, Remembered>();

  constructor(private readonly parts: PolledParts) {}

  /** @param first who was the first to ask for this channel; undefined at boot */
  async source(first: Call | undefined, query: string, events: SourceEvents): Promise<PolledSource> {
    const { config, plan, key: route, log, tallies } = this.parts;
    const known = this.remembered.get(events) ?? { memory: NOTHING_KNOWN };
    this.remembered.set(events, known);
    return new PolledSource(
      {
        route,
        target: await this.target(plan.share === 'credentials' ? first : undefined),
        rules: { message: config.message, cursor: config.cursor, maxMessage: config.max_message },
        queries: [ownQuery(config.poll), query],
        interval: config.interval,
        timeout: config.poll_timeout,
        backoff: plan.backoff,
        maxQueue: config.max_queue,
        messageType: config.message_type,
        remembered: known,
        log,
        tallies,
      },
      events,
    );
  }

  /** @param viewer whose credentials are passed on */
  private async target(viewer: Call | undefined): Promise<PollTarget> {
    const headers = viewer === undefined ? [] : credentialsOf(viewer);
    const user = viewer?.user;
    const { config, key, find, version, start, end } = this.parts;
    const { poll } = config;
    if (poll === undefined) throw new TypeError(`stream "${key}" polls nothing`);
    if (typeof poll !== 'string') return pollCommand({ key, start, end, headers, user });
    if (poll.startsWith('/')) {
      const host = key.slice(0, key.indexOf('/'));
      const path = poll.split('?', 1)[0] ?? poll;
      return pollRoute({ find, host, path, id: key, patience: config.poll_timeout, headers, user });
    }
    // Loaded here, because few gateways are clients themselves.
    const { pollServer } = await import('./server.ts');
    return pollServer({ url: new URL(poll), version, headers });
  }
}

function ownQuery(poll: StreamConfig['poll']): string {
  const at = typeof poll === 'string' ? poll.indexOf('?') : -1;
  return at < 0 ? '' : String(poll).slice(at + 1);
}

/** All of them, in one field each, as a program that serves the client itself would see them (RFC 6265 section 5.4, RFC 9110 section 5.3). */
function credentialsOf({ request }: Call): HeaderList {
  const separators = { cookie: '; ', authorization: ', ' };
  return Object.entries(separators).flatMap(([wanted, separator]) => {
    const values = request.headers.filter(([name]) => name === wanted).map(([, value]) => value);
    return values.length === 0 ? [] : [[wanted, values.join(separator)] as const];
  });
}
