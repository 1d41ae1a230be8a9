/** A WebSocket echo that does nothing else: `node bare-echo.js PORT`. */
import { App } from 'uWebSockets.js';

App()
  .ws('/*', { message: (socket, message, binary) => void socket.send(message, binary) })
  .listen('127.0.0.1', Number(process.argv[2]), (socket) => {
    if (socket === false) process.exit(1);
  });
