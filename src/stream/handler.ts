/** Builds the handler of a stream: who shares, and what stands behind it. */

import type { Call, Handler } from '../http/handler.ts';
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import { Held } from '../ownership/held.ts';
import type { Program, Programs } from '../process/programs.ts';
import { noRoom } from '../programs/start-error.ts';
import type { ClientParts } from './clients/accept.ts';
import { KeepAlive } from './clients/keepalive.ts';
import { StreamCounts } from './counts.ts';
import type { SourceEvents } from './ends.ts';
import { framing } from './framing.ts';
import type { StreamConfig } from './keys.ts';
import { streamPlan } from './plan.ts';
import { type Connect, PrivateStream } from './private-stream.ts';
import { SharedStream } from './shared-stream.ts';
import { connectParts } from './sources/connect/connect.ts';
import { type FindRoute, PolledStreams } from './sources/poll/streams.ts';
import { ProgramSource } from './sources/program/program.ts';
import { SilenceHint } from './sources/program/silence.ts';
import { type StreamRequest, sharedRequest } from './sources/program/start.ts';

export interface StreamParts {
  readonly log: Log;
  readonly tallies: Tallies;
  readonly programs: Programs;
  /** Of runnel. */
  readonly version: string;
  /** For a stream that polls another route. */
  readonly find: FindRoute;
  /** Starts the route's program. */
  start(asked: StreamRequest): Promise<Program>;
}

/** How long a long-poll waits for news: under the minute that proxies allow. Milliseconds. */
const LONG_POLL_WAIT = 25_000;

export function streamHandler(key: string, config: StreamConfig, parts: StreamParts): Handler {
  const plan = streamPlan(config);
  const frames = framing(config.framing);
  const programs = new RoutePrograms(key, config, parts);
  const clientParts: ClientParts = {
    log: parts.log,
    counts: new StreamCounts(parts.tallies, key),
    keepAlive: new KeepAlive({
      pingInterval: config.ping_interval,
      idleTimeout: config.idle_timeout,
      maxLifetime: config.max_lifetime,
    }),
    maxMessage: config.max_message,
    binary: frames.binary,
  };
  // In the client's order of preference; without a common one the upgrade goes on without (RFC 6455 section 4.2.2).
  const protocol = (offered: readonly string[]) => offered.find((name) => config.subprotocols.includes(name));
  if (config.connect !== undefined) {
    const connect = connectParts(key, config.connect, config, { tallies: parts.tallies, framing: frames });
    return new PrivateStream({ plan, clientParts, protocol, ...connect });
  }
  const silence = new SilenceHint(key, parts.log);
  const source = (program: Program, events: SourceEvents): ProgramSource => {
    const joined = new ProgramSource(
      program,
      {
        framing: frames,
        maxMessage: config.max_message,
        stderrToClient: config.stderr === 'client',
        endProgram: (over) => void parts.programs.end(over),
      },
      events,
    );
    // Only now: whoever listens to stdout sets it flowing, and what flows before the source listens would be lost.
    if (!config.unbuffer) silence.watch(program);
    return joined;
  };

  if (plan.share === 'client') {
    return new PrivateStream({
      plan,
      clientParts,
      protocol,
      async start(call: Call) {
        const program = await programs.start(call);
        const connect: Connect = (events) => source(program, events);
        return new Held(connect, () => void parts.programs.end(program), call.signal);
      },
    });
  }
  const polled =
    config.poll === undefined
      ? undefined
      : new PolledStreams({
          ...parts,
          key,
          config,
          plan,
          start: (asked) => programs.start(asked),
          end: (program) => void parts.programs.end(program),
        });
  return new SharedStream({
    plan,
    clientParts,
    protocol,
    longPollWait: LONG_POLL_WAIT,
    maxChannels: config.max_processes,
    boot: config.start === 'boot',
    options: {
      slowClient: config.slow_client,
      maxBehind: Math.max(config.max_behind, config.max_message),
      maxQueue: config.max_queue,
      drainTimeout: config.drain_timeout,
      idleStop: config.start === 'boot' ? undefined : config.idle_stop,
      tagged: config.clients === 'tagged',
      binary: frames.binary,
    },
    start: async (first, query, events) =>
      polled === undefined
        ? source(await programs.start(sharedRequest(key, query)), events)
        : await polled.source(first, query, events),
  });
}

/** The programs of one route, up to its bound. */
class RoutePrograms {
  private running = 0;

  constructor(
    private readonly key: string,
    private readonly config: StreamConfig,
    private readonly parts: StreamParts,
  ) {}

  async start(asked: StreamRequest): Promise<Program> {
    if (this.running >= this.config.max_processes) {
      this.parts.tallies.processesRefused.add(1, this.key, 'max');
      throw noRoom(`${this.running} programs of this route are running already (max_processes)`);
    }
    this.running++;
    try {
      const program = await this.parts.start(asked);
      void program.over.then(() => this.running--);
      return program;
    } catch (error) {
      this.running--;
      throw error;
    }
  }
}
