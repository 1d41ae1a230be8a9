/**
 * The engine: the small interface under the pipeline. Two servers implement it (`uws/uws.ts`, `node/node.ts`) behind one door (`door/door.ts`) that
 * accepts for both, and one contract suite (`test/engine/`) runs over both. Nothing above this folder ever holds an engine's own request, response or buffer:
 * what an engine hands up is a copy, what it takes down is data.
 */
import type { Server } from 'node:net';
import type { CertificateStore } from '../tls/serving/store.ts';

/**
 * Header fields in the order they were sent, names in lower case, repeated names kept apart. Values have one character per byte
 * (latin1), in requests and in replies: what a program is to see as UTF-8 must be turned into bytes first.
 */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** A request's head, copied at the boundary. */
export interface Request {
  /** As sent: methods are case-sensitive (RFC 9110 section 9.1). */
  readonly method: string;
  /** The target's path exactly as sent: not decoded, dot segments kept. Starts with "/" or is "*" (RFC 9112 section 3.2). */
  readonly path: string;
  /** What follows "?", exactly as sent; undefined without a "?". */
  readonly query: string | undefined;
  readonly version: '1.0' | '1.1' | '2.0';
  readonly headers: HeaderList;
  /** In the one form of `net/address.ts`: "unix" over a Unix socket, "" when the peer had gone before it could be asked for. */
  readonly remoteAddress: string;
  /** Undefined over a Unix socket, and where the engine cannot tell: `uws`, over TLS and of an address with many connections at once. */
  readonly remotePort: number | undefined;
  /**
   * The address of this machine that the connection was made to, in the form of `remoteAddress`. Undefined over a Unix socket, and where the
   * engine cannot tell: `uws` knows it where it knows `remotePort`, or the listener has one address.
   */
  readonly localAddress?: string | undefined;
  readonly listener: ListenerFacts;
  /**
   * The address is a proxy's that has passed on somebody's connection and not said whose (PROXY protocol). What the head says of who is
   * behind the proxy was written by that somebody.
   */
  readonly anonymous?: boolean;
  /** Undefined over a plain connection. */
  readonly tls?: ConnectionTls | undefined;
  /** What the client showed; undefined when it showed none or was not asked. Only a verified one says who it is. */
  readonly peerCertificate?: PeerCertificate | undefined;
}

/** How a connection is encrypted. Each is undefined where the engine does not tell (`uws`). */
export interface ConnectionTls {
  /** "TLSv1.2" or "TLSv1.3". */
  readonly protocol: string | undefined;
  /** OpenSSL's name of the suite. */
  readonly cipher: string | undefined;
  /** The host that the client asked for in the handshake (RFC 6066 section 3). */
  readonly serverName: string | undefined;
}

/** A client's certificate. Names are written as RFC 4514 has it, the most specific part first. */
export interface PeerCertificate {
  readonly subject: string;
  readonly issuer: string;
  /** The subject's common name, as it stands there. */
  readonly commonName: string | undefined;
  /** Hexadecimal, upper case. */
  readonly serial: string;
  /** SHA-256, hexadecimal in pairs with colons. */
  readonly fingerprint256: string;
  /** As in the certificate: "Nov 20 07:00:00 2026 GMT". */
  readonly validFrom: string;
  readonly validTo: string;
  /** Issued by an authority of the listener, valid now, and not revoked. */
  readonly verified: boolean;
  /** Why it is not verified: OpenSSL's word for it, such as "CERT_HAS_EXPIRED". */
  readonly problem: string | undefined;
}

/** What a request knows of the listener it came through. */
export interface ListenerFacts {
  /** As it was configured, for logs and metrics. */
  readonly name: string;
  readonly secure: boolean;
  /** A proxy in between does not say whether the client itself speaks TLS, so `secure` is only about the way from there. */
  readonly secureUnknown?: boolean;
  /** The port really bound (never 0); undefined for a Unix socket. */
  readonly port: number | undefined;
}

/** A well-formed WebSocket opening handshake (RFC 6455 section 4.2.1). */
export interface Handshake {
  /** Subprotocols in the client's order of preference. */
  readonly protocols: readonly string[];
}

/**
 * Bytes that arrive over time, at the pace of whoever takes them: files, what programs print, live streams, on their way to the engine (`BodySink`).
 * Not a stream of Node: a stream cannot give a buffer back (`free`), without which a large download is as much garbage as it is long; it makes
 * objects for each reply, and a promise or an event in another turn for each chunk. Measured with Node 20, microseconds of CPU time without the
 * network, the best of 40 rounds:
 *
 *                       a body   each chunk   a file of 100 KiB
 *     BodySource          0.1        0.002          90
 *     AsyncIterable       0.4        0.14          102
 *     stream.Readable     1.3        0.05          113
 *     ReadableStream      8          0.47          150
 *
 * A stalled client costs 0.7 KB of objects here, 1.0 KB with an AsyncIterable, 4.6 KB with a ReadableStream. Where bodies are rare that does not
 * count: `IterableBody` (http/reply-bodies.ts) makes a source of whatever Node iterates over.
 */
export interface BodySource {
  /** Bytes in all, when known beforehand: sent as Content-Length. A source must then write exactly that many. */
  readonly length: number | undefined;
  /** Starts the flow; called once. */
  start(sink: BodySink): void;
  /** Goes on after a `write` that answered false. */
  resume(): void;
  /**
   * Nobody wants the rest, or, without a `start` before it, any of it: release everything. Called at most once and never after `end`
   * or `fail`. Whoever is given a source owes it a `start` or a `cancel`.
   */
  cancel(): void;
}

export interface BodySink {
  /**
   * Takes a chunk. False: taken, but nothing more may be written until `resume` is called. The chunk belongs to the
   * engine from here on; the source must not write into it again, unless and until `free` has been called: the engine does that
   * once nothing of the chunk is needed any more, maybe before `write` returns, and never when the connection is gone.
   */
  write(chunk: Uint8Array, free?: () => void): boolean;
  /** The same of a chunk that is its source's again when this returns: what cannot go out at once is copied. */
  lend(chunk: Uint8Array): boolean;
  /**
   * Where it is there: sends bytes of an open file without bringing them here, as many as the client takes at once. Answers how many. Fewer than asked for: write
   * what comes next, which tells how to go on. Undefined: nothing was sent, and these must be written, because the client cannot be served this way
   * now, the disk would have to be waited for, or no more than these are left to send.
   */
  sendFile?(file: number, position: number, length: number): number | undefined;
  /** Everything has been written. */
  end(): void;
  /** The rest will never come: the connection is cut, so that the client can tell (RFC 9112 section 8). */
  fail(error: Error): void;
}

/** A reply as data. The engine adds Date, framing headers and what HEAD, 204 and 304 ask for. */
export interface Reply {
  readonly status: number;
  /** The reason phrase; the standard one of the status when undefined. */
  readonly reason?: string | undefined;
  /**
   * Names in lower case. Framing and connection headers (`FRAMING_FIELDS`) are not allowed here, the engine writes those itself; a
   * `date` is left out, the engine writes its own. A reply that cannot be sent becomes a 500 and is reported to `failed`.
   */
  readonly headers: HeaderList;
  readonly body: Uint8Array | string | BodySource | undefined;
  /**
   * The head leaves at once, whether or not anything of the body is there. An engine that cannot send it alone (`uws`) begins a body of
   * unknown length, of which nothing is there, with these bytes.
   */
  readonly opening?: Uint8Array | undefined;
  /** Closes the connection after this reply. */
  readonly close?: boolean | undefined;
  /**
   * "whole": this very object is given again and again, and never changes. "head": its status and this very list of headers are, with another
   * body each time. An engine may keep what it makes of the head.
   */
  readonly lasting?: 'whole' | 'head' | undefined;
}

/** A switch to WebSocket, as data (RFC 6455 section 4.2.2). */
export interface Upgrade {
  /** One of the client's protocols, or undefined for none. */
  readonly protocol: string | undefined;
  /** Further header fields of the 101. */
  readonly headers: HeaderList;
  /** Largest message that a client may send, in bytes; a larger one closes the socket with 1009. */
  readonly maxMessage: number;
  readonly handlers: SocketHandlers;
  /** Compresses messages where the client can (`Deflating`); undefined: no extension is negotiated. */
  readonly deflating?: Deflating | undefined;
  /** Is told what the WebSocket was, once it is over. */
  readonly record?: SocketRecord | undefined;
  /**
   * There will be no WebSocket: the client has left before its 101, or the switch failed. Release what was kept ready for it. Of this
   * and `handlers.open` exactly one is called, once.
   */
  cancel(): void;
}

/**
 * permessage-deflate (RFC 7692) without context takeover, so that nothing of it stays in memory between messages. What is sent compressed is
 * `isWorthDeflating`'s to say; a client may compress whatever it sends.
 */
export interface Deflating {
  /** A message goes out compressed. */
  deflated(): void;
}

/** What becomes of one WebSocket, for whoever writes that down. */
export interface SocketRecord {
  /** Behind the handlers' `close`, with the same code and reason; `received` and `sent` are the bytes of its messages. */
  over(code: number, reason: string, received: number, sent: number): void;
  /** Instead: there was none, because the client had left. */
  cancelled(): void;
}

/** What happens on a WebSocket. `open` comes first, `close` exactly once and last; neither is called from inside a `Socket` method. */
export interface SocketHandlers {
  open(socket: Socket): void;
  /** `data` is the handler's own copy. Text is valid UTF-8. */
  message(data: Buffer, binary: boolean): void;
  /** After a `send` that answered false: everything that was buffered has gone to the kernel. Once each time. */
  drain(): void;
  pong(): void;
  /** The client sent a ping with so many bytes in it. The engine has answered it. */
  ping(bytes: number): void;
  /**
   * Code and reason as received (RFC 6455 section 7.4); 1005 without a code, 1006 without a close frame; our own code when we
   * closed because of what the client sent, or (`uws`) at all.
   */
  close(code: number, reason: string): void;
}

/** The server's end of one WebSocket. Every method is harmless after `close`. */
export interface Socket {
  /** Queues one message. False: taken, but the socket is behind; hold back until `drain`. */
  send(data: Uint8Array | string, binary: boolean): boolean;
  /** The same of `data` that is the sender's again when this returns. */
  lend(data: Uint8Array, binary: boolean): boolean;
  /** Runs `sends`; what it sends goes out together, in as few writes as the engine can. */
  batch(sends: () => void): void;
  /** Bytes that the kernel has not taken yet. */
  readonly bufferedAmount: number;
  ping(): void;
  /** Starts the closing handshake behind what was sent. `reason` is cut to 123 bytes of UTF-8. */
  close(code: number, reason: string): void;
  /** Drops the connection without a close frame. */
  terminate(): void;
  /** Stops and restarts reading from the client. False where the engine cannot (`uws`): bound the queue instead. */
  pause(): boolean;
  resume(): void;
}

/** What takes a request's body. */
export interface BodyReceiver {
  /** A copy of the next bytes. */
  chunk(bytes: Buffer): void;
  /** The whole body has arrived. */
  end(): void;
}

/**
 * One request and its answer. Exactly one of `reply` and `upgrade` is to be called, once, at any time; after an abort
 * both only cancel what they are given, the reply's `BodySource` or the `Upgrade`.
 */
export interface Exchange {
  readonly request: Request;
  readonly handshake: Handshake | undefined;
  /** A Content-Length above 0 or a chunked body was announced. */
  readonly hasBody: boolean;
  /** The announced Content-Length; undefined for a chunked body or none. */
  readonly contentLength: number | undefined;
  readonly aborted: boolean;
  /** The client left before the reply was complete. One listener; called at most once; not after the reply was complete. */
  onAborted(listener: () => void): void;
  /**
   * The answer may take as long as the client stays. From here on a client that shuts its sending side counts as gone, or does so already.
   * Any other client is still answered then (RFC 9112 section 9.6), by the engine that can, `node`, unless the answer is silent for too long.
   */
  endless(): void;
  /**
   * Takes the body. Only before the pipeline's callback returns; a body that nobody took is discarded, and the
   * connection is closed after the reply if the body was not over by then.
   */
  receive(receiver: BodyReceiver): void;
  /** Stops and restarts reading the body. Only between `receive` and the body's end. */
  pauseBody(): void;
  resumeBody(): void;
  reply(reply: Reply): void;
  upgrade(upgrade: Upgrade): void;
}

/** What an engine calls. */
export interface EngineEvents {
  /**
   * A connection was accepted. False: it is one too many, and is let go: with a 503 where that needs no handshake, else without a word.
   * `closed` is not called for that one.
   */
  opened(remoteAddress: string): boolean;
  /** A connection has ended, also one that became a WebSocket. Undefined where the engine cannot tell whose (`uws`). */
  closed(remoteAddress: string | undefined): void;
  /** A request has arrived. Whatever this throws is answered with 500 and reported to `failed`. */
  exchange(exchange: Exchange): void;
  /**
   * The engine answers or drops a malformed request by itself, before there is an exchange, or a client that leaves answers unread. `request` is there where its head could be
   * read. False: its client has had its answers for this second, and where it is answered at all that is with 429.
   */
  refused(reason: string, remoteAddress: string, request?: Request): boolean;
  /** Something is served otherwise than it could be: a sentence for the log. */
  limited(sentence: string): void;
  /** An exception out of a callback: the connection it belonged to is gone, the process lives. */
  failed(error: unknown): void;
}

export interface ListenOptions {
  /** As configured: names the listener in logs and metrics. */
  readonly name: string;
  readonly address: ListenAddress;
  /** Largest request head in bytes. */
  readonly maxHeaderBytes: number;
  /** Milliseconds from a connection's start (or the last reply) to a complete head, where the engine lets one choose. */
  readonly headerTimeout: number;
  /** Milliseconds that an idle connection is kept for another request, where the engine lets one choose. */
  readonly keepAliveTimeout: number;
  /** Largest `maxMessage` of any route, bytes: an engine that needs one number for all takes this. */
  readonly maxMessage: number;
  /** Whether there may be an `Upgrade` with `deflating`: without this an engine may go without it. */
  readonly deflates?: boolean | undefined;
  /** Undefined: plain. */
  readonly tls?: CertificateStore | undefined;
  /** Offers HTTP/2 beside HTTP/1.1 over TLS. Only the engine `node` can do this. */
  readonly http2?: boolean | undefined;
  /**
   * Set: every connection begins with a PROXY preface, and only a peer of whom this says yes may send one; others are closed and
   * reported to `refused`. The engine `node` serves them.
   */
  readonly isProxy?: ((remoteAddress: string) => boolean) | undefined;
}

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | ({ readonly kind: 'unix'; readonly path: string } & SocketFile)
  /** A socket that systemd has opened, by its name. */
  | { readonly kind: 'systemd'; readonly socket: string };

/** Who may open the path of a Unix socket, by numbers. What is left out is as the system makes it: the process's own user and group, and its umask. */
export interface SocketFile {
  readonly mode?: number | undefined;
  readonly owner?: number | undefined;
  readonly group?: number | undefined;
}

/** A listener at work. */
export interface Listening {
  /** "auto": each connection has the engine that serves it best. */
  readonly engine: EngineWish;
  readonly name: string;
  readonly secure: boolean;
  /** The port really bound; undefined for a Unix socket. */
  readonly port: number | undefined;
  /** Accepts no more connections; each open one is closed after the reply it is waiting for. */
  stop(): void;
  /**
   * Gives the listening socket to another listener (`Engine.listen`). Each open connection is closed behind its next reply, or when its
   * idle time is over: none has to go at once. Throws when it does not listen any more.
   */
  handOn(): Server;
  /** Resolves when no connection is left. */
  readonly finished: Promise<void>;
  /** How many connections are open, and how many requests and WebSockets are under way on them. */
  load(): { readonly connections: number; readonly requests: number };
  /** Drops every connection that is left. */
  close(): void;
}

export type EngineName = 'uws' | 'node';
/** Which engine a listener is to have: one of them, or for each connection the one that serves it best. */
export type EngineWish = EngineName | 'auto';

export interface Engine {
  /** "node" also where nothing else can be had. */
  readonly name: EngineWish;
  /**
   * Rejects with a `ListenError`.
   * @param inPlaceOf A listener that is open at this very address. The socket goes on under the new one, so nobody is refused meanwhile, and
   * what waits in it to be accepted is not lost: the kernel resets that when a socket is closed. When this rejects, the old one goes on.
   */
  listen(options: ListenOptions, events: EngineEvents, inPlaceOf?: Listening): Promise<Listening>;
}

/** The system refused a listener. */
export class ListenError extends Error {
  /** "EADDRINUSE", "EACCES", "EADDRNOTAVAIL" … */
  readonly code: string;
  constructor(name: string, code: string, detail: string) {
    super(`cannot listen on ${name}: ${detail}`);
    this.name = 'ListenError';
    this.code = code;
  }
}

/** The first value of a header field, `name` in lower case; undefined when it is not there. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (const [key, value] of headers) if (key === name) return value;
  return undefined;
}
