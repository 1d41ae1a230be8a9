/** Joins one client to one source of its own. With `shared.ts` the only code that knows both ends. */
import type { Log } from '../../ops/log.ts';
import { type Client, type MessageOrigin, type Notice, partialNotice } from '../clients/client.ts';
import type { DropReason, StreamCounts } from '../counts.ts';
import { CLOSE, type Ending, Message, makeMessage } from '../message.ts';
import type { Backoff } from '../sources/backoff.ts';
import type { ClientFacts, SendResult, SourceEvents, WritableSource } from '../sources/source.ts';
import { nameOf } from './member.ts';
import type { ChannelFacts } from './status.ts';

export interface ChannelOptions {
  /** Bytes of a client's messages that may wait for the source. */
  readonly maxQueue: number;
  /** Milliseconds that a client may leave its messages untaken. */
  readonly drainTimeout: number;
  /** Whether messages are binary to clients. */
  readonly binary: boolean;
  /** Their media type, where they are pictures. */
  readonly picture?: string | undefined;
  /** The message that closes the program's stdin. */
  readonly eofMessage: Buffer | undefined;
  /** How a source that has ended is started anew; undefined: its end is the stream's. */
  readonly restart: Restart | undefined;
  /** Of the client among those of the stream, and who it is. */
  readonly number: number;
  readonly facts: ClientFacts;
}

export interface Restart {
  /** Whether this ending calls for it. */
  wanted(ending: Ending): boolean;
  readonly backoff: Backoff;
  start(events: SourceEvents): Promise<WritableSource>;
}

/**
 * `share = "client"`: a source of its own for each client. A slow client holds its source back, and a slow source its
 * client where the engine can, so neither makes the gateway grow.
 */
export class PrivateChannel implements SourceEvents {
  private source: WritableSource | undefined;
  private client: Client | undefined;
  private sourceSince = 0;
  private clientBehind: NodeJS.Timeout | undefined;
  private closing: NodeJS.Timeout | undefined;
  private restarting: NodeJS.Timeout | undefined;
  private clientPaused = false;
  private restarts = 0;
  private over = false;

  /** @param left called once, when the channel is over: the client has left, or the source has ended. */
  constructor(
    private readonly options: ChannelOptions,
    private readonly counts: StreamCounts,
    private readonly log: Log,
    private readonly left: () => void,
  ) {}

  /**
   * Both ends are there: from here messages flow.
   * @param connect makes the source, which may end before this returns
   */
  join(client: Client, connect: (events: SourceEvents) => WritableSource): void {
    this.client = client;
    const source = connect(this);
    if (this.over) source.release();
    else this.attach(source);
  }

  /** Its client's name. */
  get id(): string {
    return nameOf(this.options.number);
  }

  /** What the operator sees of it. */
  status(): ChannelFacts {
    const { source, client, id, restarts } = this;
    const { facts } = this.options;
    const since = Math.round(performance.timeOrigin + this.sourceSince);
    return {
      ...{ id, name: id, restarts, shown: false, polls: 0 },
      source: source === undefined ? { state: 'restarting' } : { state: 'running', since, ...source.status?.() },
      viewers: client === undefined ? [] : [{ id, client, facts, waiting: 0 }],
    };
  }

  // ---- from the client ----

  /** A message from the client. What is not "sent" was dropped, and counted. */
  send(message: Buffer): SendResult {
    if (this.over) return 'away';
    this.counts.in.value++;
    this.counts.inBytes.value += message.length;
    const { source } = this;
    if (source === undefined) {
      this.counts.drop('no_program');
      return 'away';
    }
    if (this.options.eofMessage?.equals(message)) source.endInput();
    else if (source.waiting > this.options.maxQueue && !this.clientPaused) {
      this.counts.drop('input_overrun');
      return 'full';
    } else {
      // One message may go beyond the bound: it may be larger by itself, and the program may be about to read.
      source.write(message);
      if (source.waiting > this.options.maxQueue && this.client?.pause()) this.clientPaused = true;
    }
    return 'sent';
  }

  /** A message of the client came by another way than its connection. */
  spoke(): void {
    this.client?.spoke();
  }

  /** The client has taken everything. */
  clientDrain(): void {
    if (this.clientBehind === undefined) return;
    clearTimeout(this.clientBehind);
    this.clientBehind = undefined;
    this.source?.resume();
  }

  clientLeft(): void {
    clearTimeout(this.closing);
    if (this.over) return;
    this.stop();
    this.left();
  }

  // ---- from the source ----

  messages(batch: readonly Buffer[]): void {
    this.deliver(batch, 'stdout');
  }

  stderr(line: Buffer): void {
    this.deliver([line], 'stderr');
  }

  partial(text: Buffer, origin: MessageOrigin): void {
    this.tell(partialNotice(text, origin));
  }

  drain(): void {
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
  abort(reason: DropReason, message: string): void {
    if (this.over) return;
    this.counts.drop(reason);
    this.log.info(message, { route: this.counts.route });
    this.stop();
    this.client?.terminate();
    this.left();
  }

  /** A word beside the stream. Not for a client that is behind: it would wait there, too. */
  private tell(notice: Notice): void {
    if (!this.over && this.clientBehind === undefined) this.client?.notice(notice);
  }

  private deliver(batch: readonly Buffer[], origin: MessageOrigin): void {
    if (this.over || this.client === undefined) return;
    this.counts.out.value += batch.length;
    for (const message of batch) this.counts.outBytes.value += message.length;
    const { binary, picture } = this.options;
    const messages = batch.map((data) =>
      origin === 'stdout' ? makeMessage(data, binary, '', 0, picture) : new Message(data, !binary, '', 0),
    );
    if (this.client.deliver(messages, origin) || this.clientBehind !== undefined) return;
    this.source?.pause();
    this.clientBehind = setTimeout(
      () =>
        this.abort('client_too_slow', 'a client did not read its messages within drain_timeout and was disconnected'),
      this.options.drainTimeout,
    );
  }

  /** The source does not take what the client sends, and the client cannot be held back: ends the stream. */
  overrun(reason: string): void {
    this.finish({ code: CLOSE.tryAgainLater, reason });
  }

  private attach(source: WritableSource): void {
    this.source = source;
    this.sourceSince = performance.now();
    // The client may still be behind with what the one before had said.
    if (this.clientBehind !== undefined) source.pause();
    this.drain();
  }

  private restartAfter(ending: Ending, restart: Restart): void {
    const wait = restart.backoff.next(performance.now() - this.sourceSince);
    this.log.info('the program is restarted', {
      route: this.counts.route,
      ended: ending.reason,
      ms: Math.round(wait),
    });
    this.tell({ kind: 'notice', text: `the program has ended (${ending.reason}) and is restarted` });
    this.source?.release();
    this.source = undefined;
    this.restarts++;
    this.sourceSince = performance.now() + wait;
    this.restarting = setTimeout(() => {
      restart.start(this).then(
        (source) => {
          if (this.over) source.release();
          else {
            this.attach(source);
            this.tell({ kind: 'notice', text: 'the program runs again' });
          }
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
    this.source?.release();
  }
}
