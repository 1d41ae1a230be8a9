/**
 * Keeps quiet streams open and finds peers that have vanished: a ping when one is due, an end when it was not answered by the next.
 * One timer serves all clients of a stream.
 */
import { CLOSE, type Ending } from '../message.ts';

/** What is watched. */
export interface PingedClient {
  /** @param due milliseconds until the next one, where the client is told */
  ping(due?: number): void;
  /** Bytes that the kernel has not taken. */
  readonly bufferedAmount: number;
  /**
   * Nothing is read from it at present, because what it sends is taken too slowly: its answers wait unread. That it has vanished then
   * shows when the kernel cannot deliver the pings: by a reset at once, without any answer after some 15 minutes (tcp_retries2).
   */
  readonly heldBack: boolean;
  terminate(): void;
}

export interface KeepAliveTimes {
  /** Milliseconds between pings. Under a minute by default, which is what proxies commonly allow. */
  readonly pingInterval: number;
  /** Milliseconds without a message either way after which a stream is closed. */
  readonly idleTimeout: number | undefined;
  /** Milliseconds after which a stream is closed whatever happens on it. */
  readonly maxLifetime: number | undefined;
}

/** Whose client it is. */
export interface WatchOwner {
  /** Closes the stream in good order. */
  end(ending: Ending): void;
  /** The peer has vanished. */
  vanished(): void;
}

/** One client under watch. */
export class Watch {
  /** There were messages since the last look. The time of each would have to be asked for, and there may be 100,000 a second. */
  active = false;
  /** A ping has been sent, and nothing was heard since. */
  unanswered = false;
  lastMessage: number;
  lastBuffered = 0;
  nextPing: number;

  constructor(
    readonly client: PingedClient,
    readonly owner: WatchOwner,
    readonly since: number,
    pingInterval: number,
  ) {
    this.lastMessage = since;
    this.nextPing = since + pingInterval;
  }

  /** Anything at all came from the peer. */
  heard(): void {
    this.unanswered = false;
  }

  /** A message went either way. */
  message(): void {
    this.active = true;
  }
}

export class KeepAlive {
  private readonly watches = new Set<Watch>();
  private timer: NodeJS.Timeout | undefined;
  private readonly period: number;

  /** Milliseconds. */
  get pingInterval(): number {
    return this.times.pingInterval;
  }

  constructor(private readonly times: KeepAliveTimes) {
    const { pingInterval, idleTimeout = pingInterval, maxLifetime = pingInterval } = times;
    this.period = Math.max(10, Math.min(pingInterval, idleTimeout, maxLifetime) / 4);
  }

  add(client: PingedClient, owner: WatchOwner): Watch {
    const watch = new Watch(client, owner, performance.now(), this.times.pingInterval);
    this.watches.add(watch);
    this.timer ??= setInterval(() => this.look(performance.now()), this.period);
    return watch;
  }

  remove(watch: Watch): void {
    this.watches.delete(watch);
    if (this.watches.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private look(now: number): void {
    for (const watch of [...this.watches]) {
      const { idleTimeout, maxLifetime } = this.times;
      if (watch.active) watch.lastMessage = now;
      watch.active = false;
      if (maxLifetime !== undefined && now - watch.since >= maxLifetime) {
        watch.owner.end({ code: CLOSE.goingAway, reason: 'max_lifetime has passed; please reconnect' });
      } else if (idleTimeout !== undefined && now - watch.lastMessage >= idleTimeout) {
        watch.owner.end({ code: CLOSE.normal, reason: 'idle', again: true });
      } else if (now >= watch.nextPing) this.ping(watch, now);
    }
  }

  private ping(watch: Watch, now: number): void {
    // A slow client's answer waits behind what it has not read; that it reads is a sign of life as good.
    const { bufferedAmount } = watch.client;
    if (bufferedAmount < watch.lastBuffered || watch.client.heldBack) watch.heard();
    watch.lastBuffered = bufferedAmount;
    if (watch.unanswered) {
      watch.owner.vanished();
      return;
    }
    watch.unanswered = true;
    watch.nextPing = now + this.times.pingInterval;
    watch.client.ping();
  }
}

/** Milliseconds from one early ping to the next; then the usual pings. */
const EARLY = [1000, 4000, 16_000];

/**
 * Some proxies hold back what does not fill their buffer, and a page cannot tell that from a stream on which nothing happens. So the
 * first pings come early, each with the time to the next: where one stays out, the page takes another way.
 *
 * @param ping `due`: milliseconds until the next one at the latest, which the client is told
 * @param usual milliseconds between the usual pings
 * @returns what stops them
 */
export function earlyPings(ping: (due: number) => void, usual: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  const wait = (at: number): void => {
    timer = setTimeout(() => {
      ping(Math.min(usual, EARLY[at + 1] ?? usual));
      if (at + 1 < EARLY.length) wait(at + 1);
    }, EARLY[at]);
  };
  wait(0);
  return () => clearTimeout(timer);
}
