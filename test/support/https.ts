/** Requests over TLS for tests: every connection its own, the server's certificate given back. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { type ConnectionOptions, connect, type PeerCertificate, type TLSSocket } from 'node:tls';

export interface SecureReply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** The common name of the certificate that the server showed. */
  readonly shown: string;
}

export async function askSecurely(port: number, path: string, options: RequestOptions = {}): Promise<SecureReply> {
  const outgoing = request({
    host: '127.0.0.1',
    port,
    path,
    agent: false,
    servername: 'board.test',
    rejectUnauthorized: false,
    ...options,
  });
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const shown = (response.socket as TLSSocket).getPeerCertificate().subject.CN;
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body, shown };
}

/** A session that a server gives out; undefined when it has answered a request without giving one. */
export async function sessionOf(port: number, options: ConnectionOptions): Promise<Buffer | undefined> {
  const socket = connect({ host: '127.0.0.1', port, servername: 'board.test', rejectUnauthorized: false, ...options });
  let session: Buffer | undefined;
  socket.on('session', (each: Buffer) => {
    session = each;
  });
  // With TLS 1.3 it comes behind the handshake, but before the answer.
  socket.write('GET / HTTP/1.1\r\nHost: board.test\r\n\r\n');
  await once(socket, 'data');
  socket.destroy();
  return session;
}

/** A bare TLS connection; rejects when the handshake fails. */
export async function handshake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, servername: 'board.test', rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** The common name that a server shows to who asks for `servername`. */
export async function shownTo(port: number, servername: string | undefined): Promise<string> {
  const socket = await handshake(port, { servername: servername ?? '' });
  const { subject }: PeerCertificate = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}
