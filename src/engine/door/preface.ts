/** Takes the PROXY preface off a connection of Node before anything else reads from it. */
import type { Socket } from 'node:net';
import { type Preface, readPreface } from './proxy-preface.ts';

export type CompletePreface = Extract<Preface, { readonly state: 'complete' }>;

export interface PrefaceEvents {
  /** The socket stands at the first byte behind the preface. */
  taken(preface: CompletePreface): void;
  /** What came is none, or not in time: the connection is gone. Not called when nothing came at all. */
  refused(reason: string): void;
}

/** Waits for the preface, for `deadline` milliseconds at most. A connection that ends before that is closed without a word. */
export function takePreface(socket: Socket, deadline: number, events: PrefaceEvents): void {
  let bytes: Buffer = Buffer.alloc(0);
  const look = (): void => {
    const more: unknown = socket.read();
    if (!(more instanceof Buffer)) return;
    bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
    const preface = readPreface(bytes);
    if (preface.state === 'malformed') refuse(preface.reason);
    if (preface.state !== 'complete') return;
    forget();
    const rest = bytes.subarray(preface.length);
    if (rest.length > 0) socket.unshift(rest);
    events.taken(preface);
  };
  const leave = (): void => {
    forget();
    socket.destroy();
  };
  const refuse = (reason: string): void => {
    leave();
    events.refused(reason);
  };
  const timer = setTimeout(() => {
    if (bytes.length === 0) leave();
    else refuse('a PROXY preface that took too long');
  }, deadline);
  const forget = (): void => {
    clearTimeout(timer);
    socket.off('readable', look);
    socket.off('end', leave);
    socket.off('close', forget);
  };
  socket.on('readable', look);
  socket.on('end', leave);
  socket.on('close', forget);
}
