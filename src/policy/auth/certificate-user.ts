/** Who a client certificate says that the client is. */
import type { Request } from '../../engine/engine.ts';

/** What a TLS listener adds to its requests, as far as it matters here. */
interface Certified {
  readonly peerCertificate?:
    | { readonly verified: boolean; readonly commonName: string | undefined; readonly subject: string }
    | undefined;
}

/** The common name of a certificate that the listener has verified, else its whole subject; undefined without one. */
export function certificateUser(request: Request & Certified): string | undefined {
  const certificate = request.peerCertificate;
  if (certificate?.verified !== true) return undefined;
  return certificate.commonName ?? certificate.subject;
}
