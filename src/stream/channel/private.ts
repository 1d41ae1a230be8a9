/** Joins one client to one backend of its own. With `shared-channel.ts` the only code that knows both ends. */
import type { Log } from '../../ops/log.ts';
import type { Backoff } from '../backoff.ts';
import type { StreamCounts } from '../counts.ts';
import type { Backend, BackendEvents, Client, Origin } from '../ends.ts';
import { CLOSE, type Ending, Message } from '../message.ts';

export interface ChannelOptions {
  /** Bytes of a client's messages that may wait for the backend. */
  readonly maxQueue: number;
  /** Milliseconds that a client may leave its messages untaken. */
  readonly drainTimeout: number;
  /** Whether messages are binary to clients. */
  readonly binary: boolean;
  /** The message that closes the program's stdin. */
  readonly eofMessage: Buffer | undefined;
  /** How a backend that has ended is started anew; undefined: its end is the stream's. */
  readonly restart: Restart | undefined;
}

/** What became of a client's message: the program is away (being started again), or does not read. */
export type Taken = 'sent' | 'away' | 'full';

export interface Restart {
  /** Whether this ending calls for it. */
  wanted(ending: Ending): boolean;
  readonly backoff: Backoff;
  start(events: BackendEvents): Promise<Backend>;
}

/**
 * `share = "client"`: a backend of its own for each client. A slow client holds its backend back, and a slow backend its
 * client where the engine can, so neither makes the gateway grow.
 */
export class PrivateChannel implements BackendEvents {
  private backend: Backend | undefined;
  private client: Client | undefined;
  private backendSince = 0;
  private clientBehind: NodeJS.Timeout | undefined;
  private closing: NodeJS.Timeout | undefined;
  private restarting: NodeJS.Timeout | undefined;
  private clientPaused = false;
  private over = false;

  /** @param left called once, when the channel is over: the client has left, or the backend has ended. */
  constructor(
    private readonly options: ChannelOptions,
    private readonly counts: StreamCounts,
    private readonly log: Log,
    private readonly left: () => void,
  ) {}

  /**
   * Both ends are there: from here messages flow.
   * @param connect makes the backend, which may end before this returns
   */
  join(client: Client, connect: (events: BackendEvents) => Backend): void {
    this.client = client;
    const backend = connect(this);
    if (this.over) backend.release();
    else this.attach(backend);
  }

  // ---- from the client ----

  /** A message from the client. What is not "sent" was dropped, and counted. */
  fromClient(message: Buffer): Taken {
    if (this.over) return 'away';
    this.counts.in.value++;
    this.counts.inBytes.value += message.length;
    const { backend } = this;
    if (backend === undefined) {
      this.counts.drop('no_program');
      return 'away';
    }
    if (this.options.eofMessage?.equals(message)) backend.endInput();
    else if (backend.waiting > this.options.maxQueue && !this.clientPaused) {
      this.counts.drop('input_overrun');
      return 'full';
    } else {
      // One message may go beyond the bound: it may be larger by itself, and the program may be about to read.
      backend.write(message);
      if (backend.waiting > this.options.maxQueue && this.client?.pause()) this.clientPaused = true;
    }
    return 'sent';
  }

  /** A message of the client came by another way than its connection. */
  spoke(): void {
    this.client?.spoke();
  }

  /** The client has taken everything. */
  clientDrained(): void {
    if (this.clientBehind === undefined) return;
    clearTimeout(this.clientBehind);
    this.clientBehind = undefined;
    this.backend?.resume();
  }

  clientLeft(): void {
    clearTimeout(this.closing);
    if (this.over) return;
    this.stop();
    this.left();
  }

  // ---- from the backend ----

  messages(batch: readonly Buffer[]): void {
    this.deliver(batch, 'stdout');
  }

  aside(line: Buffer): void {
    this.deliver([line], 'stderr');
  }

  notice(text: string): void {
    this.client?.notice({ kind: 'notice', text });
  }

  drained(): void {
    if (!this.clientPaused) return;
    this.clientPaused = false;
    this.client?.resume();
  }

  ended(ending: Ending): void {
    const { restart } = this.options;
    if (this.over) return;
    if (restart?.wanted(ending)) this.restartAfter(ending, restart);
    else this.finish(ending);
  }

  // ---- endings ----

  /** Ends the stream from our side. */
  finish(ending: Ending): void {
    if (this.over) return;
    this.stop();
    const { client } = this;
    if (client !== undefined) {
      // The close waits behind what the client has not taken, and a vanished client never takes it. Set before the close, because
      // a client that has taken everything is gone when that returns.
      this.closing = setTimeout(() => client.terminate(), this.options.drainTimeout);
      client.close(ending);
    }
    this.left();
  }

  /** Ends it without a word: the client does not listen. `reason` is counted and logged. */
  abort(reason: string, message: string): void {
    if (this.over) return;
    this.counts.drop(reason);
    this.log.info(message, { route: this.counts.route });
    this.stop();
    this.client?.terminate();
    this.left();
  }

  private deliver(batch: readonly Buffer[], origin: Origin): void {
    if (this.over || this.client === undefined) return;
    this.counts.out.value += batch.length;
    for (const message of batch) this.counts.outBytes.value += message.length;
    const binary = (origin === 'stdout') === this.options.binary;
    const messages = batch.map((data) => new Message(data, binary, '', 0));
    if (this.client.deliver(messages, origin) || this.clientBehind !== undefined) return;
    this.backend?.pause();
    this.clientBehind = setTimeout(
      () => this.abort('client_too_slow', 'a client did not take its messages within drain_timeout and was dropped'),
      this.options.drainTimeout,
    );
  }

  /** The backend does not take what the client sends, and the client cannot be held back: ends the stream. */
  overrun(reason: string): void {
    this.finish({ code: CLOSE.tryAgainLater, reason });
  }

  private attach(backend: Backend): void {
    this.backend = backend;
    this.backendSince = performance.now();
    // The client may still be behind with what the one before had said.
    if (this.clientBehind !== undefined) backend.pause();
    this.drained();
  }

  private restartAfter(ending: Ending, restart: Restart): void {
    const wait = restart.backoff.next(performance.now() - this.backendSince);
    this.log.info('the program is started again', {
      route: this.counts.route,
      ended: ending.reason,
      ms: Math.round(wait),
    });
    this.backend?.release();
    this.backend = undefined;
    this.backendSince = performance.now() + wait;
    this.restarting = setTimeout(() => {
      restart.start(this).then(
        (backend) => {
          if (this.over) backend.release();
          else this.attach(backend);
        },
        (error: unknown) =>
          this.ended({ code: CLOSE.internalError, reason: error instanceof Error ? error.message : String(error) }),
      );
    }, wait);
  }

  private stop(): void {
    this.over = true;
    clearTimeout(this.clientBehind);
    clearTimeout(this.restarting);
    this.clientBehind = undefined;
    this.backend?.release();
  }
}
