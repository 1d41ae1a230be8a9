/** TLS under the engine on Node: the server, what a handshake tells of a connection, and handshakes that fail. */
import type { X509Certificate } from 'node:crypto';
import type { Server, ServerOptions } from 'node:http';
import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { commonName } from '../../tls/names.ts';
import type { CertificateStore } from '../../tls/serving/store.ts';
import type { PeerCertificate } from '../engine.ts';
import { closingText, plainReply } from '../replies.ts';
import { LINGER, type SecureFacts } from './connection.ts';

/** What this engine speaks over TLS (RFC 7301). */
const PROTOCOLS = ['http/1.1', 'http/1.0'];
const PROTOCOLS_WITH_HTTP2 = ['h2', ...PROTOCOLS];

/** Makes servers that speak TLS with the store's certificates. node:https is loaded only here. */
export async function secureServer(
  store: CertificateStore,
  handshakeTimeout: number,
  http2: boolean,
): Promise<(settings: ServerOptions) => Server> {
  const { createServer } = await import('node:https');
  const { createSecureContext } = await import('node:tls');
  return (settings) => {
    const server = createServer({
      ...settings,
      ...store.serverOptions(createSecureContext),
      ALPNProtocols: http2 ? PROTOCOLS_WITH_HTTP2 : PROTOCOLS,
      handshakeTimeout,
      // As without TLS, where Node does so by itself.
      allowHalfOpen: true,
    });
    store.attach(server);
    return server;
  };
}

export interface SecureEvents {
  /** A handshake is complete. `raw` is the connection under it. */
  opened(socket: Socket, raw: Socket | undefined, facts: SecureFacts): void;
  /** A handshake has failed because of what the client sent. */
  refused(reason: string, raw: Socket | undefined): void;
}

export function routeSecure(server: Server, events: SecureEvents): void {
  server.on('secureConnection', (socket: TLSSocket) => events.opened(socket, under(socket), factsOf(socket)));
  server.on('tlsClientError', (error: SslError, socket: TLSSocket) => {
    const raw = under(socket);
    const { code = '' } = error;
    if (code === 'ERR_SSL_HTTP_REQUEST') {
      if (raw !== undefined) explainHttps(raw);
      events.refused('plain HTTP on a TLS port', raw);
    } else if (/^ERR_(SSL|TLS)_/.test(code)) {
      events.refused(`a failed TLS handshake: ${error.reason ?? error.message}`, raw);
    }
  });
}

/** The connection that is encrypted: Node keeps it, but does not give it out. */
function under(socket: TLSSocket): Socket | undefined {
  const raw: unknown = Reflect.get(socket, '_parent');
  return raw instanceof Socket ? raw : undefined;
}

type SslError = Error & { readonly code?: string; readonly reason?: string };

const HTTPS_ONLY = plainReply(400, 'This port accepts HTTPS only. Use an address that begins with https://');

/** The handshake has failed, but what lies under it is open still, and the client reads HTTP. */
function explainHttps(raw: Socket): void {
  if (raw.destroyed || !raw.writable) return;
  raw.on('error', () => undefined);
  raw.end(closingText(HTTPS_ONLY));
  const timer = setTimeout(() => raw.destroy(), LINGER);
  raw.once('close', () => clearTimeout(timer));
}

function factsOf(socket: TLSSocket): SecureFacts {
  const certificate = socket.getPeerX509Certificate();
  const { servername } = socket as TLSSocket & { readonly servername?: unknown };
  return {
    tls: {
      protocol: socket.getProtocol() ?? '',
      cipher: socket.getCipher()?.name ?? '',
      serverName: typeof servername === 'string' ? servername : undefined,
    },
    peerCertificate: certificate === undefined ? undefined : peerCertificate(certificate, socket),
  };
}

function peerCertificate(certificate: X509Certificate, socket: TLSSocket): PeerCertificate {
  const problem = socket.authorized ? undefined : String(socket.authorizationError ?? 'UNKNOWN');
  return {
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    commonName: commonName(certificate.subject),
    serial: certificate.serialNumber,
    fingerprint256: certificate.fingerprint256,
    validFrom: certificate.validFrom,
    validTo: certificate.validTo,
    verified: socket.authorized,
    problem,
  };
}

/** Node writes one part a line, the least specific first, escaped already; RFC 4514 wants one line the other way round. */
function distinguishedName(lines: string): string {
  return lines.split('\n').reverse().join(',');
}

/** Why a listener that requires client certificates refuses this one; undefined when it does not. */
export function strangerReason(peer: PeerCertificate | undefined): string | undefined {
  if (peer === undefined) return 'the client sent no certificate';
  return peer.verified ? undefined : `the client certificate is not accepted (${peer.problem})`;
}
