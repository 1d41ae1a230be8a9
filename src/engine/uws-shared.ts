/** What a listener on uWebSockets.js gives to its exchanges. */
import type { us_socket_context_t } from 'uWebSockets.js';
import type { Drain } from './drain.ts';
import type { EngineHost, Handshake } from './engine.ts';
import type { UwsAnchor } from './uws-anchor.ts';
import type { LastingHeads } from './uws-head.ts';
import type { Liveness } from './uws-liveness.ts';

/** What the exchanges of one listener share. */
export interface UwsShared {
  readonly host: EngineHost;
  readonly drain: Drain;
  readonly liveness: Liveness;
  readonly anchor: UwsAnchor;
  readonly heads: LastingHeads;
}

/** What a switch to WebSocket needs of the request, which is gone by then. */
export interface UwsOpening {
  readonly handshake: Handshake;
  readonly key: string;
  readonly context: us_socket_context_t;
}
