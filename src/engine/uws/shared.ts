/** What a listener on uWebSockets.js gives to its exchanges. */
import type { HttpResponse, us_socket_context_t } from 'uWebSockets.js';
import type { EngineEvents, Handshake } from '../engine.ts';
import type { OpenConnections } from '../open-connections.ts';
import type { LastingHeads } from './head.ts';
import type { Liveness } from './liveness.ts';
import type { SelfConnection } from './self-connection.ts';
import type { LoopIterations } from './turns.ts';
import type { UnconfirmedAnswers } from './unseen.ts';

/** What the exchanges of one listener share. */
export interface UwsShared {
  readonly events: EngineEvents;
  readonly connections: OpenConnections;
  readonly liveness: Liveness;
  readonly selfConnection: SelfConnection;
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
