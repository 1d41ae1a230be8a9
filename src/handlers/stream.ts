/** Serves a stream: a program for each client, joined to it by a channel. */
import type { StreamConfig } from '../config/schema.ts';
import type { Socket, Upgrade } from '../engine/engine.ts';
import { HttpError } from '../http/errors.ts';
import type { Answer, Call, Handler } from '../http/handler.ts';
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import type { Program, Programs } from '../process/programs.ts';
import { type BackendEvents, ProcessBackend } from '../stream/backends/process.ts';
import { Backoff } from '../stream/backoff.ts';
import { PrivateChannel, type Restart, StreamCounts } from '../stream/channel.ts';
import { WebSocketClient } from '../stream/clients/websocket.ts';
import { framing } from '../stream/framing.ts';
import { KeepAlive, type Watch } from '../stream/keepalive.ts';
import { CLOSE, type Ending } from '../stream/message.ts';
import { SilenceHint } from '../stream/silence.ts';
import { noRoom } from './start-error.ts';

export interface StreamParts {
  readonly log: Log;
  readonly tallies: Tallies;
  readonly programs: Programs;
  /** Starts the route's program for one call. */
  start(call: Call): Promise<Program>;
}

export function streamHandler(key: string, config: StreamConfig, parts: StreamParts): Handler {
  return new PrivateStream(key, config, parts);
}

/** `share = "client"`. */
class PrivateStream implements Handler {
  readonly kind = 'stream';
  readonly methods = ['GET'];
  readonly takesBody = false;
  readonly crossSite = 'same-origin';
  private readonly frames;
  private readonly counts;
  private readonly keepAlive;
  private readonly silence;
  private readonly channels = new Set<PrivateChannel>();
  /** Programs that run or are being started. */
  private running = 0;

  constructor(
    private readonly key: string,
    private readonly config: StreamConfig,
    private readonly parts: StreamParts,
  ) {
    this.frames = framing(config.framing);
    this.counts = new StreamCounts(parts.tallies, key);
    this.keepAlive = new KeepAlive({
      pingInterval: config.ping_interval,
      idleTimeout: config.idle_timeout,
      maxLifetime: config.max_lifetime,
    });
    this.silence = new SilenceHint(key, parts.log);
  }

  /** Everything that may refuse a client happens here, before the 101. */
  async handle(call: Call): Promise<Answer> {
    if (call.handshake === undefined)
      throw new HttpError(426, 'a WebSocket stream', { headers: [['upgrade', 'websocket']] });
    let left = false;
    call.onAborted(() => {
      left = true;
    });
    const program = await this.start(call);
    if (left) void this.parts.programs.end(program);
    return this.upgrade(program, call);
  }

  drain(reason: string): void {
    for (const channel of [...this.channels]) channel.finish({ code: CLOSE.goingAway, reason });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** One more program of this route, unless there are as many as there may be. */
  private async start(call: Call): Promise<Program> {
    if (this.running >= this.config.max_processes) {
      this.parts.tallies.processesRefused.add(1, this.key, 'max');
      throw noRoom(`${this.running} programs of this route are running already (max_processes)`);
    }
    this.running++;
    try {
      const program = await this.parts.start(call);
      void program.over.then(() => this.running--);
      return program;
    } catch (error) {
      this.running--;
      throw error;
    }
  }

  private backend(program: Program, events: BackendEvents): ProcessBackend {
    if (!this.config.unbuffer) this.silence.watch(program);
    return new ProcessBackend(
      program,
      {
        framing: this.frames,
        maxMessage: this.config.max_message,
        stderrToClient: this.config.stderr === 'client',
        endProgram: (over) => void this.parts.programs.end(over),
      },
      events,
    );
  }

  private restart(call: Call): Restart | undefined {
    const { restart, restart_delay: first, restart_delay_max: most } = this.config;
    if (restart === 'never') return undefined;
    return {
      wanted: (ending) => restart === 'always' || ending.code !== CLOSE.normal,
      backoff: new Backoff({ first, most }),
      start: async (events) => this.backend(await this.start(call), events),
    };
  }

  /** The client's end and the program's end, joined; messages flow from the moment the socket is open. */
  private upgrade(program: Program, call: Call): Upgrade {
    const { config, key, parts, keepAlive } = this;
    const options = {
      maxQueue: config.max_queue,
      drainTimeout: config.drain_timeout,
      eofMessage: config.eof_message === undefined ? undefined : Buffer.from(config.eof_message),
      restart: this.restart(call),
    };
    const channel = new PrivateChannel(options, this.counts, parts.log, () => this.channels.delete(channel));
    let watch: Watch | undefined;
    return {
      protocol: undefined,
      headers: [],
      maxMessage: config.max_message,
      handlers: {
        open: (socket: Socket) => {
          const client = new WebSocketClient(socket, this.frames.binary, () => watch?.message());
          this.channels.add(channel);
          parts.tallies.clients.add(1, key);
          parts.tallies.clientsJoined.add(1, key, 'websocket');
          watch = keepAlive.add(
            client,
            (ending: Ending) => channel.finish(ending),
            () => channel.abort('client_vanished', 'a client did not answer its pings and was dropped'),
          );
          channel.join(client, this.backend(program, channel));
        },
        message: (data, binary) => {
          watch?.message();
          if (binary === this.frames.binary) channel.fromClient(data);
          else
            channel.finish({
              code: CLOSE.unsupportedData,
              reason: this.frames.binary ? 'only binary messages here' : 'only text messages here',
            });
        },
        drain: () => {
          watch?.heard();
          channel.clientDrained();
        },
        pong: () => watch?.heard(),
        close: (code, reason) => {
          if (watch !== undefined) keepAlive.remove(watch);
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
}
