/**
 * A connection of the listener to itself that stays open: another connection to cork while a request is switched to WebSocket outside of its own
 * callback.
 *
 * The switch must not happen inside of the request's own `cork`: when that returns, uWebSockets.js takes the WebSocket, which now lies
 * at the same address, for the response that it was, and now and then reads "close this connection" out of what it finds there
 * (measured: several of a hundred clients under load, closed with 1006 before their first message). And outside of any `cork` it
 * prints a warning for each switch. Inside of another connection's `cork` it does neither.
 */

import type { HttpResponse } from 'uWebSockets.js';
import { Socket } from 'node:net';
import type { Descriptors } from '../descriptors.ts';
import type { AdoptingApp } from './known-peers.ts';

export class SelfConnection {
  private client: Socket | undefined;
  private response: HttpResponse | undefined;

  /** Resolves when the connection is open, or cannot be: then switches are as right, but each prints the warning. `app` is for nothing else. */
  open(app: AdoptingApp, descriptors: Descriptors): Promise<void> {
    const [ours, its] = descriptors.pair() ?? [];
    if (ours === undefined || its === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      app.any('/*', (response) => {
        // It is kept, and not answered.
        this.response = response;
        response.onAborted(() => {
          this.response = undefined;
        });
        resolve();
      });
      const client = new Socket({ fd: ours });
      this.client = client;
      client.on('error', () => undefined);
      client.on('close', () => resolve());
      app.adoptSocket(its);
      client.write('GET / HTTP/1.1\r\nHost: self\r\n\r\n');
      // It must not keep a process alive that has nothing else to do.
      client.unref();
    });
  }

  /** Runs `act` while this connection is corked. */
  corked(act: () => void): void {
    if (this.response === undefined) act();
    else this.response.cork(act);
  }

  close(): void {
    this.client?.destroy();
    // uWebSockets.js never forgets an app, nor what hangs on it.
    this.client = undefined;
  }
}
