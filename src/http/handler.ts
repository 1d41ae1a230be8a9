/** What stands between the pipeline and whatever serves a route: a call goes in, an answer as data comes out. */

import type { Handshake, Reply, Upgrade } from '../engine/engine.ts';
import type { RouteFacts } from '../ops/status.ts';
import type { ClientRequest } from '../policy/addresses.ts';
import type { User } from '../policy/auth/auth.ts';
import type { CanonicalPath, PathBelow } from '../routing/canonical-path.ts';
import type { LiveBody } from './live-body.ts';

/** A request's body, received whole before the handler is asked (see `spool.ts`). */
export interface Body {
  readonly length: number;
  /** All of it, when it was small enough to stay in memory. */
  readonly bytes: Buffer | undefined;
  /** An open descriptor of an unnamed file that holds all of it, position 0, when it was not. Closed by the pipeline. */
  readonly descriptor: number | undefined;
}

/** One request, as a handler sees it. */
export interface Call {
  /** Names this request in logs and in error answers. */
  readonly id: string;
  readonly request: ClientRequest;
  readonly handshake: Handshake | undefined;
  /** Always there for handlers with `takesBody`; empty when the request had none. */
  readonly body: Body | undefined;
  /** The body as it comes, where the handler asks for that (`Handler.takesLive`); `body` is empty then. */
  readonly live?: LiveBody | undefined;
  /** Of a WebSocket: whether its client may send messages, where writing has rules of its own. */
  readonly mayWrite?: boolean;
  /** Who has proved to be whom, where the route asks for it. */
  readonly user: User | undefined;
  /** What the router went by. `request.path` is how the client spelled it, and is only shown. */
  readonly path: CanonicalPath;
  /** The request's path below the route's: for the key "/app/" and the path "/app/x/y" it is "x/y"; "" for an exact match. */
  readonly rest: PathBelow;
  /** The client's host without port, in lower case; "" when it sent none. */
  readonly host: string;
  /** Times the request has re-entered the router by a local redirect (RFC 3875 section 6.2.2). */
  readonly redirects: number;
  /** Milliseconds that whoever asks will wait, instead of the route's own times; undefined for a client. */
  readonly patience?: number | undefined;
  /**
   * Aborted when the client leaves before the answer is complete, with the `HttpError` (499) to reject with: everything that is started
   * for this call ends with it. Never aborted once a WebSocket is open.
   */
  readonly signal: AbortSignal;
  /** The answer may take as long as the client stays: one that shuts its sending side counts as gone. */
  endless(): void;
  /** Adds to this request's log line, for example a program's exit status. */
  note(key: string, value: string | number): void;
}

/** A local redirect: the pipeline serves this path and query instead, as a GET without a body. */
export interface LocalRedirect {
  readonly localRedirect: string;
}

/** The path is that of a folder, without its last slash: the pipeline sends the client there, so that relative links are right. */
export interface FolderRedirect {
  readonly toFolder: true;
}

export const TO_FOLDER: FolderRedirect = { toFolder: true };

export type Answer = Reply | Upgrade | LocalRedirect | FolderRedirect;

/** Nobody gets this answer: what it holds is released. */
export function cancelAnswer(answer: Answer): void {
  if ('handlers' in answer) answer.cancel();
  else if ('body' in answer && typeof answer.body === 'object' && 'start' in answer.body) answer.body.cancel();
}

/** What serves a route. */
export interface Handler {
  /** For logs and metrics: "static", "cgi", "stream" … */
  readonly kind: string;
  /** Methods that it serves; others are answered with 405 and Allow. Undefined: every method but CONNECT and TRACE. */
  readonly methods: readonly string[] | undefined;
  /** Whether it wants the body; a handler that does not is never kept waiting for it. */
  readonly takesBody: boolean;
  /** Whether it takes the body of this request as it arrives, instead of getting it whole. */
  takesLive?(request: ClientRequest): boolean;
  /** Largest body that it has a use for, bytes, where that is less than `limits.body`. */
  readonly maxBody?: number | undefined;
  /**
   * Whether pages of other origins may ask for it: "open" for documents, which a browser lets them load but not read;
   * "same-origin" for streams. WebSockets are never open (see `policy/origin.ts`).
   */
  readonly crossSite: 'open' | 'same-origin';
  /** A POST, or a PUT, is a message of a client, as one on its WebSocket is: what limits messages holds for it. */
  readonly takesMessages?: boolean;
  /** It has a rule of its own for clients that are slow: `limits.reply_rate` does not hold for it. */
  readonly pacesItself?: boolean;
  /**
   * Throws or rejects with `HttpError` for an error answer; anything else thrown is a 500. Settles soon after the call's signal is aborted:
   * until then the call's body stays open.
   */
  handle(call: Call): Answer | Promise<Answer>;
  /**
   * The route's own page for an error with this status, whoever has found it; undefined where it has none. The error's own header
   * fields are added by the caller. What it throws is logged, and the gateway's own page is sent.
   */
  errorPage?(status: number): Promise<Reply> | undefined;
  /** What it tells the operator of itself. Computed when it is asked for, which is only while somebody looks. */
  status?(): RouteFacts;
  /** Ends the connection of the client that its status has under this name; false where there is none. */
  endClient?(name: string): boolean;
  /** Opens what it needs before it serves. Rejects with a `RouteError`; then it will be retired. */
  prepare?(): Promise<void>;
  /** It serves from now on: what runs without being asked for is started. */
  begin?(): void;
  /**
   * It serves nobody new from now on, because the gateway stops or the configuration has changed: clients of streams are told to leave;
   * a request under way may still finish, and after it nothing is left.
   */
  retire(reason: string): void;
  /** Ends what it started, now. Resolves when nothing is left. */
  close(): Promise<void>;
}
