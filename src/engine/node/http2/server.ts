/** HTTP/2 beside HTTP/1.1 on a TLS listener. node:http2 is loaded only here, and this only where a listener has it. */

import type { Server } from 'node:http';
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { ListenOptions } from '../../engine.ts';
import type { Http2Shared } from './exchange.ts';
import { MAX_INVALID_FRAMES, MAX_SESSION_MEMORY, MAX_SETTINGS, MAX_STREAMS } from './limits.ts';
import { Session, type SessionClient, type SessionShared } from './session.ts';

/** As ALPN names it (RFC 9113 section 3.2). */
const H2 = 'h2';

export class Http2Sessions {
  /** Never listens: it is given connections whose handshake has agreed on HTTP/2. */
  private readonly server: Http2Server;
  private readonly sessions = new Set<Session>();
  private readonly shared: SessionShared;
  private stopped = false;

  constructor(options: ListenOptions, shared: Http2Shared) {
    const { maxHeaderBytes, headerTimeout, keepAliveTimeout, tls } = options;
    this.shared = {
      ...shared,
      maxHeaderBytes,
      headerTimeout,
      keepAliveTimeout,
      requiresClient: () => tls?.requiresClient === true,
    };
    const settings = {
      maxConcurrentStreams: MAX_STREAMS,
      enableConnectProtocol: true,
      enablePush: false,
      // Above our own limit, which is answered: what is above this one is reset.
      maxHeaderListSize: maxHeaderBytes * 2,
    };
    // In a name of its own, because the types do not know all of them.
    const limits = {
      settings,
      // The bound in bytes is enough.
      maxHeaderListPairs: maxHeaderBytes,
      maxSessionMemory: MAX_SESSION_MEMORY,
      maxSessionInvalidFrames: MAX_INVALID_FRAMES,
      maxSettings: MAX_SETTINGS,
    };
    this.server = createServer(limits);
  }

  /** Gives a connection to HTTP/2, when that is what its handshake has agreed on. */
  takes(client: SessionClient): boolean {
    const { socket } = client;
    if (!speaksHttp2(socket)) return false;
    const made: ServerHttp2Session[] = [];
    const keep = (session: ServerHttp2Session): void => {
      made.push(session);
    };
    this.server.on('session', keep);
    this.server.emit('connection', socket);
    this.server.off('session', keep);
    const [native] = made;
    if (native === undefined) socket.destroy();
    else {
      const session = new Session(native, client, this.shared);
      this.sessions.add(session);
      socket.once('close', () => this.sessions.delete(session));
      if (this.stopped) session.stop();
    }
    return true;
  }

  /** Lets every client know that it is to go, and whoever is still within its handshake. */
  stop(): void {
    this.stopped = true;
    for (const session of this.sessions) session.stop();
  }
}

/** Keeps connections that speak HTTP/2 from the HTTP/1 of this server. To be called before anybody else listens. */
export function keepFromHttp1(server: Server): void {
  const http1 = server.listeners('secureConnection');
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket: Socket) => {
    if (!speaksHttp2(socket)) for (const listener of http1) listener.call(server, socket);
  });
}

function speaksHttp2(socket: Socket): boolean {
  return Reflect.get(socket, 'alpnProtocol') === H2;
}
