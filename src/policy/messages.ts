/** How many messages, and how many bytes of them, one client of a stream may send in a second. */
import type { Limits } from '../config/schema.ts';
import type { Socket, SocketHandlers } from '../engine/engine.ts';

/** Too much of something that is allowed (RFC 6455 section 7.4.1: "violates its policy"). */
const POLICY_VIOLATION = 1008;

type MessageLimits = Pick<Limits, 'messages_per_second' | 'message_bytes_per_second'>;

/**
 * The same handlers behind a limit: who exceeds it is closed with 1008, and what it still sends is not handed on.
 *
 * @param exceeded called once, when that happens
 * @param now milliseconds
 */
export function limitMessages(
  handlers: SocketHandlers,
  limits: MessageLimits,
  exceeded: () => void,
  now: () => number = () => performance.now(),
): SocketHandlers {
  const { messages_per_second: messages, message_bytes_per_second: bytes } = limits;
  if (messages === 0 && bytes === 0) return handlers;
  const count = messages === 0 ? undefined : new Allowance(messages, now());
  const volume = bytes === 0 ? undefined : new Allowance(bytes, now());
  let socket: Socket | undefined;
  let over = false;
  return {
    open(opened) {
      socket = opened;
      handlers.open(opened);
    },
    message(data, binary) {
      if (over) return;
      const at = now();
      const fits = (count?.spend(1, at) ?? true) && (volume?.spend(data.length, at) ?? true);
      if (fits) {
        handlers.message(data, binary);
        return;
      }
      over = true;
      exceeded();
      socket?.close(POLICY_VIOLATION, 'too many messages');
    },
    drain: () => handlers.drain(),
    pong: () => handlers.pong(),
    close: (code, reason) => handlers.close(code, reason),
  };
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

  spend(amount: number, now: number): boolean {
    const { perSecond } = this;
    this.tokens = Math.min(perSecond, this.tokens + ((now - this.at) / 1000) * perSecond);
    this.at = now;
    if (this.tokens < Math.min(amount, perSecond)) return false;
    this.tokens -= amount;
    return true;
  }
}
