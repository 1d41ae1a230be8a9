/** What the engine alone can do: a WebSocket echo, and 1 KiB with the head that a file has. `node bare-uws.js PORT`. */
import { App } from 'uWebSockets.js';

const BODY = Buffer.alloc(1024, 'x');

App()
  .ws('/*', { message: (socket, message, binary) => void socket.send(message, binary) })
  .any('/*', (response, request) => {
    // The least that a server has to do that is to decide on a request: to know it.
    const headers: [string, string][] = [];
    request.forEach((name, value) => {
      headers.push([name, value]);
    });
    if (request.getCaseSensitiveMethod() !== 'GET' || request.getUrl() === '') response.writeStatus('405');
    response.writeHeader('content-type', 'application/octet-stream');
    response.writeHeader('etag', '"sg-dmzwtgczn0bs"');
    response.writeHeader('last-modified', 'Fri, 20 Nov 2026 08:53:37 GMT');
    response.writeHeader('accept-ranges', 'bytes');
    response.end(BODY);
  })
  .listen('127.0.0.1', Number(process.argv[2]), (socket) => {
    if (socket === false) process.exit(1);
  });
