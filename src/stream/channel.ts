/** Joins one client to one backend: the only code that knows both ends. */
import type { Log } from '../ops/log.ts';
import type { Member, Tallies } from '../ops/tallies.ts';
import type { BackendEvents } from './backends/process.ts';
import { CLOSE, type Ending } from './message.ts';

/** The client's end, whatever its transport. */
export interface Client {
  /** False: taken, but the client is behind; `clientDrained` will be called. */
  deliver(message: Buffer): boolean;
  /** Ends the stream behind what was delivered. */
  close(ending: Ending): void;
  /** Drops the connection. */
  terminate(): void;
  /** Stops taking the client's messages. False where that is not possible. */
  pause(): boolean;
  resume(): void;
}

/** The other end. */
export interface Backend {
  readonly waiting: number;
  write(message: Buffer): boolean;
  pause(): void;
  resume(): void;
  /** Nobody listens any more. */
  abandon(): void;
}

export interface ChannelLimits {
  /** Bytes of a client's messages that may wait for the backend. */
  readonly maxQueue: number;
  /** Milliseconds that a client may leave its messages untaken. */
  readonly drainTimeout: number;
}

/** The numbers of one route that its channels count in. */
export class StreamCounts {
  readonly in: Member;
  readonly out: Member;
  readonly inBytes: Member;
  readonly outBytes: Member;

  constructor(
    readonly tallies: Tallies,
    readonly route: string,
  ) {
    this.in = tallies.messages.member(route, 'in');
    this.out = tallies.messages.member(route, 'out');
    this.inBytes = tallies.messageBytes.member(route, 'in');
    this.outBytes = tallies.messageBytes.member(route, 'out');
  }

  drop(reason: string): void {
    this.tallies.dropped.add(1, this.route, reason);
  }
}

/**
 * `share = "client"`: a backend of its own for each client. A slow client holds its backend back, and a slow backend its
 * client where the engine can, so neither makes the gateway grow.
 */
export class PrivateChannel implements BackendEvents {
  private backend: Backend | undefined;
  private client: Client | undefined;
  private clientBehind: NodeJS.Timeout | undefined;
  private closing: NodeJS.Timeout | undefined;
  private clientPaused = false;
  private over = false;

  /** @param left called once, when the channel is over: the client has left, or the backend has ended. */
  constructor(
    private readonly limits: ChannelLimits,
    private readonly counts: StreamCounts,
    private readonly log: Log,
    private readonly left: () => void,
  ) {}

  /** Both ends are there: from here messages flow. */
  join(client: Client, backend: Backend): void {
    this.client = client;
    this.backend = backend;
  }

  // ---- from the client ----

  /** A message from the client. */
  fromClient(message: Buffer): void {
    if (this.over || this.backend === undefined) return;
    this.counts.in.value++;
    this.counts.inBytes.value += message.length;
    if (this.backend.write(message) || this.backend.waiting <= this.limits.maxQueue || this.clientPaused) return;
    if (this.client?.pause()) this.clientPaused = true;
    else {
      this.counts.drop('input_overrun');
      this.finish({ code: CLOSE.tryAgainLater, reason: 'the program does not read as fast as you send' });
    }
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
    if (this.over || this.client === undefined) return;
    let behind = false;
    for (const message of batch) {
      this.counts.out.value++;
      this.counts.outBytes.value += message.length;
      if (!this.client.deliver(message)) behind = true;
    }
    if (!behind || this.clientBehind !== undefined) return;
    this.backend?.pause();
    this.clientBehind = setTimeout(() => this.tooSlow(), this.limits.drainTimeout);
  }

  drained(): void {
    if (!this.clientPaused) return;
    this.clientPaused = false;
    this.client?.resume();
  }

  ended(ending: Ending): void {
    this.finish(ending);
  }

  // ---- endings ----

  /** Ends the stream from our side. */
  finish(ending: Ending): void {
    if (this.over) return;
    this.stop();
    const { client } = this;
    if (client !== undefined) {
      client.close(ending);
      // The close waits behind what the client has not taken, and a vanished client never takes it.
      this.closing = setTimeout(() => client.terminate(), this.limits.drainTimeout);
    }
    this.left();
  }

  private tooSlow(): void {
    if (this.over) return;
    this.counts.drop('client_too_slow');
    this.log.warn('a client did not take its messages within drain_timeout and was dropped', {
      route: this.counts.route,
    });
    this.stop();
    this.client?.terminate();
    this.left();
  }

  private stop(): void {
    this.over = true;
    clearTimeout(this.clientBehind);
    this.clientBehind = undefined;
    this.backend?.abandon();
  }
}
