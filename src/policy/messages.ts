/**
 * How many messages, and how many bytes of them, one client of a stream may send in a second, on a WebSocket or by POST. The pipeline asks here for
 * both.
 */
import { createHash } from 'node:crypto';
import type { Limits } from '../config/keys/routes.ts';
import type { Socket, SocketHandlers } from '../engine/engine.ts';

/** Too much of something that is allowed (RFC 6455 section 7.4.1: "violates its policy"). */
const POLICY_VIOLATION = 1008;

type MessageRates = Pick<Limits, 'messages_per_second' | 'message_bytes_per_second'>;

/** One for each client of a stream: an object without closures, and no allowances before its first message. */
class LimitedHandlers implements SocketHandlers {
  private socket: Socket | undefined;
  private count: Allowance | undefined;
  private volume: Allowance | undefined;
  private pongs: Allowance | undefined;
  private over = false;

  constructor(
    private readonly handlers: SocketHandlers,
    private readonly exceeded: () => void,
    private readonly now: () => number,
    private readonly messages: number,
    private readonly bytes: number,
  ) {}

  open(opened: Socket): void {
    this.socket = opened;
    this.handlers.open(opened);
  }

  message(data: Buffer, binary: boolean): void {
    if (this.allows(data.length)) this.handlers.message(data, binary);
  }

  /** Counts as a message: it costs as much, and its answer goes out. */
  ping(bytes: number): void {
    if (this.allows(bytes)) this.handlers.ping(bytes);
  }

  drain(): void {
    this.handlers.drain();
  }

  /** Nobody has to ask for one, and each costs as much as a message; but answers to our pings take nothing from those. */
  pong(): void {
    if (this.over) return;
    const at = this.now();
    if (this.messages > 0) this.pongs ??= new Allowance(this.messages, at);
    if (this.pongs?.spend(1, at) ?? true) this.handlers.pong();
    else this.exceed();
  }

  close(code: number, reason: string): void {
    this.handlers.close(code, reason);
  }

  private allows(bytes: number): boolean {
    if (this.over) return false;
    const at = this.now();
    if (this.messages > 0) this.count ??= new Allowance(this.messages, at);
    if (this.bytes > 0) this.volume ??= new Allowance(this.bytes, at);
    if ((this.count?.spend(1, at) ?? true) && (this.volume?.spend(bytes, at) ?? true)) return true;
    this.exceed();
    return false;
  }

  private exceed(): void {
    this.over = true;
    this.exceeded();
    this.socket?.close(POLICY_VIOLATION, 'too many messages');
  }
}

/** Senders that are remembered; the one that was quiet for longest is forgotten first. */
const MAX_SENDERS = 4096;

/**
 * Whose allowance a message by POST takes: that of its session, or else of its user or address. A session is only what a client says until
 * the stream has looked at it: it must not stand for a user or an address, nor be kept at its length.
 */
export function senderOf(session: string | undefined, user: string | undefined, address: string): string {
  if (session !== undefined) return `session ${createHash('sha256').update(session).digest('base64')}`;
  return user === undefined ? `address ${address}` : `user ${user}`;
}

/** One that is remembered, and what it may send. */
interface Sender {
  readonly name: string;
  readonly count: Allowance;
  readonly volume: Allowance;
}

/** The limits of one route: the same for each client's WebSocket and for each sender of messages by POST. */
export class MessageLimits {
  private readonly senders = new Map<string, Sender>();

  /** Who sent last by POST: mostly the one that sends next. */
  private last: Sender | undefined;

  constructor(private readonly rates: MessageRates) {}

  /** Whether there is any limit. */
  get on(): boolean {
    return this.rates.messages_per_second !== 0 || this.rates.message_bytes_per_second !== 0;
  }

  /**
   * The handlers of a WebSocket behind the limit: who exceeds it is closed with 1008, and what it still sends is not handed on.
   *
   * @param exceeded called once, when that happens
   * @param now milliseconds
   */
  around(handlers: SocketHandlers, exceeded: () => void, now: () => number = () => performance.now()): SocketHandlers {
    if (!this.on) return handlers;
    const { messages_per_second: messages, message_bytes_per_second: bytes } = this.rates;
    return new LimitedHandlers(handlers, exceeded, now, messages, bytes);
  }

  /** Whether a message by POST may be taken. @param sender see `senderOf`; @param now milliseconds */
  allowsPost(sender: string, bytes: number, now: number): boolean {
    const { messages_per_second: messages, message_bytes_per_second: volume } = this.rates;
    const { count, volume: room } = sender === this.last?.name ? this.last : this.remembered(sender, now);
    return (messages === 0 || count.spend(1, now)) && (volume === 0 || room.spend(bytes, now));
  }

  private remembered(name: string, now: number): Sender {
    const { messages_per_second: messages, message_bytes_per_second: volume } = this.rates;
    this.last = this.senders.get(name) ?? {
      name,
      count: new Allowance(messages, now),
      volume: new Allowance(volume, now),
    };
    this.senders.delete(name);
    this.senders.set(name, this.last);
    if (this.senders.size > MAX_SENDERS) this.forgetFirst();
    return this.last;
  }

  /** For a sender who is held back instead of being refused; undefined where nothing limits it. @param now milliseconds */
  pace(now: number): Pace | undefined {
    const { messages_per_second: messages, message_bytes_per_second: bytes } = this.rates;
    return this.on ? new Pace(messages, bytes, now) : undefined;
  }

  private forgetFirst(): void {
    for (const sender of this.senders.keys()) {
      this.senders.delete(sender);
      return;
    }
  }
}

/** What one sender has sent beyond what it may, and how long it has to wait for that. */
export class Pace {
  private readonly count: Allowance | undefined;
  private readonly volume: Allowance | undefined;

  constructor(messages: number, bytes: number, now: number) {
    this.count = messages === 0 ? undefined : new Allowance(messages, now);
    this.volume = bytes === 0 ? undefined : new Allowance(bytes, now);
  }

  /** They were taken: milliseconds until more may be. @param now milliseconds */
  owe(messages: number, bytes: number, now: number): number {
    return Math.max(this.count?.owe(messages, now) ?? 0, this.volume?.owe(bytes, now) ?? 0);
  }
}

/** A bucket of one second's worth. One message that is larger than that passes when the bucket is full. */
class Allowance {
  private tokens: number;

  constructor(
    private readonly perSecond: number,
    private at: number,
  ) {
    this.tokens = perSecond;
  }

  /** Takes it whether or not it is there: milliseconds until what is missing has come. */
  owe(amount: number, now: number): number {
    this.fill(now);
    this.tokens -= amount;
    return this.tokens >= 0 ? 0 : (-this.tokens / this.perSecond) * 1000;
  }

  spend(amount: number, now: number): boolean {
    const { perSecond } = this;
    this.fill(now);
    if (this.tokens < Math.min(amount, perSecond)) return false;
    this.tokens -= amount;
    return true;
  }

  private fill(now: number): void {
    const { perSecond } = this;
    this.tokens = Math.min(perSecond, this.tokens + ((now - this.at) / 1000) * perSecond);
    this.at = now;
  }
}
