/** The types of /.runnel/client.js, for editors: one stream by WebSocket, Server-Sent Events or long-polling. */

type RunnelTransport = 'websocket' | 'events' | 'poll';
type RunnelState = 'connecting' | 'open' | 'waiting' | 'closed';

interface RunnelOptions {
  /** The ways to try, in this order. All three by default. */
  transports?: RunnelTransport[];
  /** Whether to connect again: false never, "unless-ended" (the default) not when the program has ended, true always. */
  reconnect?: boolean | 'unless-ended';
  /** Milliseconds after which a way that does not open is given up. 5000 by default. */
  timeout?: number;
  /** Milliseconds that it waits at most before it tries again. 30000 by default. */
  maxDelay?: number;
  /** Begin with so many past messages of a shared stream, at most 10000; the stream goes on behind them. None by default. */
  history?: number;
  /** Remember in sessionStorage which way worked, for the next page too. */
  remember?: boolean;
}

/** What a message is: a string, or the bytes of a binary stream. */
type RunnelData = string | ArrayBuffer;

interface Told<Type extends string> {
  readonly type: Type;
}

interface RunnelEvents<Data extends RunnelData = string> {
  /** Connected, for the first time or again. */
  open: Told<'open'> & { readonly facts: { readonly [name: string]: string | number } };
  /**
   * `lastEventId` is "" for a message of an unshared stream, or one that is for you alone. `time`: when it came to the gateway (ISO 8601), only
   * of a past one (`history`).
   */
  message: Told<'message'> & { readonly data: Data; readonly lastEventId: string; readonly time?: string };
  /** The connection was lost (it is tried again, `readyState` 0), it is over (2), or a message could not be sent. */
  error: Told<'error'> & { readonly reason: string; readonly code?: number };
  /** `delay`: milliseconds until the next attempt, while "waiting". */
  state: Told<'state'> & {
    readonly state: RunnelState;
    readonly transport: RunnelTransport;
    readonly reason: string;
    readonly delay?: number;
  };
  /** Messages that are not there any more; null when nobody knows how many. */
  missed: Told<'missed'> & { readonly count: number | null };
  /** A sentence about the stream for people. */
  notice: Told<'notice'> & { readonly data: string };
  /** A line of the program's stderr, where the stream has stderr = "event" or "client". */
  stderr: Told<'stderr'> & { readonly data: string };
  /** The beginning of a line whose end has not come yet, instead of the one before; with partial_lines = true. */
  partial: Told<'partial'> & { readonly data: string };
  'partial-stderr': Told<'partial-stderr'> & { readonly data: string };
  /** The program has ended: 1000 well, 1011 not; or the stream was idle. */
  end: Told<'end'> & { readonly code: number; readonly reason: string };
}

/** `Data`: what its messages are. `new Runnel<ArrayBuffer>(url)` for a stream with binary framing. */
declare class Runnel<Data extends RunnelData = string> {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSED: 2;
  constructor(url: string, options?: RunnelOptions);
  readonly url: string;
  readonly readyState: 0 | 1 | 2;
  readonly state: RunnelState;
  /** The way that is used, or tried, now. */
  readonly transport: RunnelTransport;
  /** Where in the stream it is: it resumes from here. */
  readonly lastEventId: string;
  onopen?: ((event: RunnelEvents<Data>['open']) => void) | null;
  onmessage?: ((event: RunnelEvents<Data>['message']) => void) | null;
  onerror?: ((event: RunnelEvents<Data>['error']) => void) | null;
  onstate?: ((event: RunnelEvents<Data>['state']) => void) | null;
  onmissed?: ((event: RunnelEvents<Data>['missed']) => void) | null;
  onnotice?: ((event: RunnelEvents<Data>['notice']) => void) | null;
  onpartial?: ((event: RunnelEvents<Data>['partial']) => void) | null;
  onstderr?: ((event: RunnelEvents<Data>['stderr']) => void) | null;
  onend?: ((event: RunnelEvents<Data>['end']) => void) | null;
  addEventListener<Type extends keyof RunnelEvents<Data>>(
    type: Type,
    listener: (event: RunnelEvents<Data>[Type]) => void,
  ): void;
  removeEventListener<Type extends keyof RunnelEvents<Data>>(
    type: Type,
    listener: (event: RunnelEvents<Data>[Type]) => void,
  ): void;
  /** Sends a message. False when it cannot be sent now. */
  send(data: RunnelData): boolean;
  close(): void;
}
