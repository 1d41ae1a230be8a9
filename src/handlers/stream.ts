/** Serves a stream: a program for each client, joined to it by a channel. */
import type { StreamConfig } from '../config/schema.ts';
import { headerValue, type Upgrade } from '../engine/engine.ts';
import { HttpError } from '../http/errors.ts';
import type { Answer, Call, Handler } from '../http/handler.ts';
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import { sameOrigin } from '../policy/origin.ts';
import type { Program, Programs } from '../process/programs.ts';
import { ProcessBackend } from '../stream/backends/process.ts';
import { PrivateChannel, StreamCounts } from '../stream/channel.ts';
import { WebSocketClient } from '../stream/clients/websocket.ts';
import { framing } from '../stream/framing.ts';
import { CLOSE } from '../stream/message.ts';
import { noRoom } from './start-error.ts';

export interface StreamParts {
  readonly log: Log;
  readonly tallies: Tallies;
  readonly programs: Programs;
  /** Starts the route's program for one call. */
  start(call: Call): Promise<Program>;
}

export function streamHandler(key: string, config: StreamConfig, parts: StreamParts): Handler {
  const frames = framing(config.framing);
  const counts = new StreamCounts(parts.tallies, key);
  const channels = new Set<PrivateChannel>();
  let programs = 0;

  /** One more program of this route, unless there are as many as there may be. */
  async function start(call: Call): Promise<Program> {
    if (programs >= config.max_processes) {
      parts.tallies.processesRefused.add(1, key, 'max');
      throw noRoom(`${programs} programs of this route are running already (max_processes)`);
    }
    programs++;
    try {
      const program = await parts.start(call);
      void program.over.then(() => programs--);
      return program;
    } catch (error) {
      programs--;
      throw error;
    }
  }

  /** The client's end and the program's end, joined; messages flow from the moment the socket is open. */
  function upgrade(program: Program, call: Call): Upgrade {
    const channel = new PrivateChannel(
      { maxQueue: config.max_queue, drainTimeout: config.drain_timeout },
      counts,
      parts.log,
      () => {
        channels.delete(channel);
        void parts.programs.end(program);
      },
    );
    return {
      protocol: undefined,
      headers: [],
      maxMessage: config.max_message,
      handlers: {
        open(socket) {
          channels.add(channel);
          parts.tallies.clients.add(1, key);
          parts.tallies.clientsJoined.add(1, key, 'websocket');
          channel.join(
            new WebSocketClient(socket, frames.binary),
            new ProcessBackend(program, frames, config.max_message, channel),
          );
        },
        message(data, binary) {
          if (binary === frames.binary) channel.fromClient(data);
          else
            channel.finish({
              code: CLOSE.unsupportedData,
              reason: frames.binary ? 'only binary messages here' : 'only text messages here',
            });
        },
        drain: () => channel.clientDrained(),
        pong: () => undefined,
        close(code, reason) {
          parts.tallies.clients.add(-1, key);
          parts.tallies.streamsClosed.add(1, key, String(code));
          parts.log.info(`${call.request.path} closed`, {
            route: key,
            code,
            ...(reason === '' ? {} : { reason }),
            id: call.id,
          });
          channel.clientLeft();
        },
      },
    };
  }

  return {
    kind: 'stream',
    methods: ['GET'],
    takesBody: false,
    async handle(call): Promise<Answer> {
      if (call.handshake === undefined)
        throw new HttpError(426, 'a WebSocket stream', { headers: [['upgrade', 'websocket']] });
      const { headers } = call.request;
      if (!sameOrigin(headerValue(headers, 'origin'), headerValue(headers, 'host')))
        throw new HttpError(403, 'a page of another origin');
      let left = false;
      call.onAborted(() => {
        left = true;
      });
      const program = await start(call);
      if (left) void parts.programs.end(program);
      return upgrade(program, call);
    },
    drain(reason) {
      for (const channel of [...channels]) channel.finish({ code: CLOSE.goingAway, reason });
    },
    close: () => Promise.resolve(),
  };
}
