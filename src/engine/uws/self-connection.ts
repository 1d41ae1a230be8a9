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
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { ListenAddress } from '../engine.ts';

export class SelfConnection {
  /** Of the request that this connection makes: nobody else can know it. */
  private readonly path = `/.runnel/self-${randomBytes(16).toString('hex')}`;
  private client: Socket | undefined;
  private response: HttpResponse | undefined;
  private opened: (() => void) | undefined;

  /** Resolves when the connection is open, or cannot be: then switches are as right, but each prints the warning. */
  open(address: Exclude<ListenAddress, { kind: 'systemd' }>, port: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      this.opened = resolve;
      const client = connect(
        address.kind === 'unix' ? { path: address.path } : { host: reachable(address.host), port: port ?? 0 },
      );
      this.client = client;
      client.on('error', () => undefined);
      client.on('close', resolve);
      client.write(`GET ${this.path} HTTP/1.1\r\nHost: self\r\n\r\n`);
      // It must not keep a process alive that has nothing else to do.
      client.unref();
    });
  }

  /** True for the request that this connection makes. It is kept, and not answered. */
  accepts(path: string, response: HttpResponse): boolean {
    if (path !== this.path) return false;
    this.response = response;
    response.onAborted(() => {
      this.response = undefined;
    });
    this.opened?.();
    return true;
  }

  /** Runs `act` while this connection is corked. */
  corked(act: () => void): void {
    if (this.response === undefined) act();
    else this.response.cork(act);
  }

  close(): void {
    this.client?.destroy();
    // uWebSockets.js never forgets a listener, nor what hangs on it.
    this.client = undefined;
  }
}

/** "Every address" is none that one can connect to. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
