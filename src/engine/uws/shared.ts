/** What a listener on uWebSockets.js gives to its exchanges. */
import type { HttpResponse, us_socket_context_t } from 'uWebSockets.js';
import type { ExchangeParts } from '../base-exchange.ts';
import type { Descriptors } from '../descriptors.ts';
import type { Handshake } from '../engine.ts';
import type { LastingHeads } from './head.ts';
import type { Liveness } from './liveness.ts';
import type { SelfConnection } from './self-connection.ts';

/** Of answers that nobody tells us to have been read, on average. Bytes. */
const UNCONFIRMED = 512 * 1024;
/** What is reckoned for a head. Bytes. */
const HEAD = 512;

/** What the exchanges of one listener share. */
export interface UwsShared extends ExchangeParts {
  /** Whether WebSockets may be compressed: as the apps were told. */
  readonly deflates: boolean;
  readonly liveness: Liveness;
  readonly selfConnection: SelfConnection;
  readonly descriptors: Descriptors;
  readonly heads: LastingHeads;
  readonly unconfirmed: UnconfirmedAnswers;
  readonly iterations: LoopIterations;
}

/**
 * Why a request is its connection's last. Nothing behind it may be served, so its answer stays unfinished for uWebSockets.js until the connection
 * is closed: whatever else it reads there then ends the connection.
 */
export interface UwsLast {
  /** A second handle of the response, which lets the connection be closed when the first has ended it; undefined where there is none. */
  readonly grip: HttpResponse | undefined;
}

/** What a switch to WebSocket needs of the request, which is gone by then. */
export interface UwsOpening {
  readonly handshake: Handshake;
  readonly key: string;
  readonly context: us_socket_context_t;
}

/** Counts the iterations of the event loop, while somebody asks. */
export class LoopIterations {
  current = 0;
  private due = false;

  /** The current one. The next one has another number. */
  note(): number {
    if (!this.due) {
      this.due = true;
      setImmediate(() => {
        this.due = false;
        this.current++;
      });
    }
    return this.current;
  }
}

/**
 * uWebSockets.js tells of some answers only whether they were taken over, not whether the client has read any: those without a body,
 * and those that end the connection. A client that asks and asks and reads nothing would fill the memory with them; nor can one
 * connection be told from another. So of every so many bytes one such answer ends its connection for certain. Nobody can know
 * which, so nobody can let another connection have it.
 */
export class UnconfirmedAnswers {
  private room = randomRoom();

  /** One more goes out, with a body of so many bytes. True: it has to end its connection. */
  mustClose(body: number): boolean {
    this.room -= HEAD + body;
    if (this.room > 0) return false;
    this.room = randomRoom();
    return true;
  }
}

function randomRoom(): number {
  return UNCONFIRMED * (0.5 + Math.random());
}
