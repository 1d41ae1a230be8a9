/**
 * A request's body that its handler takes as it arrives, for hours if need be: it is not received whole first (`spool.ts`), and no limit on
 * bodies ends it. Who takes it bounds it.
 */
import type { BodyReceiver, Exchange } from '../engine/engine.ts';
import type { Pace } from '../policy/messages.ts';

export class LiveBody implements BodyReceiver {
  /** Bytes that have come. */
  length = 0;
  /** How fast its messages may come; undefined where nothing limits them. */
  pace: Pace | undefined;
  private receiver: BodyReceiver | undefined;
  /** What came while it was held. */
  private early: Buffer[] = [];
  private ended = false;
  private held = false;
  private paused = false;

  /** Must be made before the engine's callback returns (see `Exchange.receive`). */
  constructor(private readonly exchange: Exchange) {
    exchange.receive(this);
  }

  /** Its handler has begun with it: nobody else can have it. */
  get taken(): boolean {
    return this.receiver !== undefined;
  }

  chunk(bytes: Buffer): void {
    this.length += bytes.length;
    if (this.receiver === undefined) this.early.push(bytes);
    else this.receiver.chunk(bytes);
  }

  end(): void {
    this.ended = true;
    this.receiver?.end();
  }

  /** Everything that has come goes to `receiver` at once, and the rest as it comes. */
  take(receiver: BodyReceiver): void {
    this.receiver = receiver;
    const { early } = this;
    this.early = [];
    for (const bytes of early) receiver.chunk(bytes);
    if (this.ended) receiver.end();
  }

  /** Takes as little of it as can be, until `go`: it is not decided yet whether it is wanted. */
  hold(): void {
    this.held = true;
    this.exchange.pauseBody();
  }

  go(): void {
    this.held = false;
    if (!this.paused) this.exchange.resumeBody();
  }

  /** Holds its sender back. What is on its way may come all the same. */
  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.exchange.pauseBody();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    if (!this.held) this.exchange.resumeBody();
  }
}
