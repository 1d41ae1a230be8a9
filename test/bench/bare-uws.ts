/**
 * What the engine alone can do: a WebSocket echo, 1 KiB with the head that a file has, and megabytes from memory at the pace of who takes them
 * (`/200m.bin`), and a POST that is answered with the number that its body has. `node bare-uws.js PORT`, and with TLS
 * `node bare-uws.js PORT CERTIFICATE KEY`.
 */
import { App, type HttpRequest, type HttpResponse, SSLApp } from 'uWebSockets.js';

const BODY = Buffer.alloc(1024, 'x');
/** Handed over at a time of what is large. */
const CHUNK = Buffer.alloc(64 * 1024);

/** The last body that was posted, and how many there have been. */
let last: Buffer | undefined;
let posted = 0;

const [port, certificate, key] = process.argv.slice(2);
const app =
  certificate === undefined || key === undefined
    ? App()
    : SSLApp({ cert_file_name: certificate, key_file_name: key, ssl_ciphers: 'ECDHE+AESGCM:ECDHE+CHACHA20' });

app
  .ws('/*', { message: (socket, message, binary) => void socket.send(message, binary) })
  .post('/*', (response, request) => {
    if (headOf(request).length === 0) response.writeStatus('400');
    const parts: Buffer[] = [];
    response.onAborted(() => undefined);
    response.onData((bytes, isLast) => {
      // They are taken away when this returns.
      parts.push(Buffer.from(new Uint8Array(bytes)));
      if (!isLast) return;
      const [only] = parts;
      last = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
      posted += last.length > 0 ? 1 : 0;
      response.writeStatus('202 Accepted');
      response.writeHeader('content-type', 'application/json');
      response.writeHeader('cache-control', 'no-store');
      response.end(`{"id":"mx0000000000-${posted}"}\n`);
    });
  })
  .any('/*', (response, request) => {
    // The least that a server has to do that is to decide on a request: to know it.
    headOf(request);
    const url = request.getUrl();
    const large = Number.parseInt(url.slice(1), 10) * 1e6;
    if (request.getCaseSensitiveMethod() !== 'GET' || url === '') response.writeStatus('405');
    response.writeHeader('content-type', 'application/octet-stream');
    response.writeHeader('etag', '"sg-dmzwtgczn0bs"');
    response.writeHeader('last-modified', 'Fri, 20 Nov 2026 08:53:37 GMT');
    response.writeHeader('accept-ranges', 'bytes');
    if (url.endsWith('m.bin')) give(response, large);
    else response.end(BODY);
  })
  .listen('127.0.0.1', Number(port), (socket) => {
    if (socket === false) process.exit(1);
  });

function headOf(request: HttpRequest): [string, string][] {
  const headers: [string, string][] = [];
  request.forEach((name, value) => {
    headers.push([name, value]);
  });
  return headers;
}

function give(response: HttpResponse, total: number): void {
  let gone = false;
  // Where the chunk that is under way begins. With TLS one that was not taken must come again, the same.
  let base = 0;
  const push = (): void => {
    while (!gone) {
      const offset = response.getWriteOffset();
      if (offset - base >= CHUNK.length) base += CHUNK.length;
      const [ok, done] = response.tryEnd(CHUNK.subarray(offset - base, Math.min(CHUNK.length, total - base)), total);
      if (!ok || done) return;
    }
  };
  response.onAborted(() => {
    gone = true;
  });
  response.onWritable(() => {
    response.cork(push);
    return true;
  });
  push();
}
