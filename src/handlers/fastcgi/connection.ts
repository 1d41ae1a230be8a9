/**
 * One request over one connection to a FastCGI application, seen as if it were a program: bytes go to its stdin, its stdout and
 * stderr are streams, and it ends. What the client does not read is not read from the application either.
 */
import { closeSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { Deferred } from '../../ownership/deferred.ts';
import { drained, piecesOf, type RequestBody } from '../../upstream/request.ts';
import { abortRequest, type ProtocolStatus, RecordDecoder, RecordError, stdin } from './records.ts';

/** How the application ended the request. */
export type RequestEnd =
  | { readonly kind: 'end'; readonly appStatus: number; readonly protocolStatus: ProtocolStatus }
  | { readonly kind: 'broken'; readonly reason: string };

export class FastcgiRequest {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when the connection is closed and stdout is over. */
  readonly over: Promise<void>;
  private readonly decoder = new RecordDecoder();
  private readonly end = new Deferred<RequestEnd>();
  private hasEnded = false;

  /**
   * Sends the request over a fresh connection, paused so far, which belongs to this from here on. The body's descriptor stays the caller's.
   *
   * @param beginning of the request, see `beginRequest`
   */
  constructor(
    private readonly socket: Socket,
    beginning: Buffer,
    body: RequestBody | undefined,
  ) {
    this.stdout = new Readable({ read: () => void socket.resume() });
    this.stderr = new Readable({ read: () => undefined });
    this.over = Promise.all([closed(socket), closed(this.stdout)]).then(() => undefined);
    socket.on('data', (chunk: Buffer) => this.take(chunk)).resume();
    socket.once('end', () => this.broken('it closed the connection before the end of the request'));
    socket.once('close', () => this.broken('the connection was lost before the end of the request'));
    socket.write(beginning);
    // The body is the application's to read or to leave; that the connection is gone is told by 'close'.
    this.send(body).catch((error: unknown) => this.broken(`the body could not be read: ${String(error)}`));
  }

  /** Resolves with the application's word, or with why none can come. */
  get ended(): Promise<RequestEnd> {
    return this.end.promise;
  }

  /** Nobody wants the rest. */
  abort(): void {
    if (!this.hasEnded && this.socket.writable) this.socket.write(abortRequest());
    this.broken('it was ended');
    this.socket.destroy();
    this.stdout.destroy();
  }

  private take(chunk: Buffer): void {
    if (this.hasEnded) return;
    try {
      for (const piece of this.decoder.feed(chunk)) {
        if (piece.kind === 'end') this.finish(piece);
        else if (piece.kind === 'stderr') this.stderr.push(piece.bytes);
        else if (!this.stdout.push(piece.bytes)) this.socket.pause();
      }
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      this.broken(error.message);
    }
  }

  private broken(reason: string): void {
    this.finish({ kind: 'broken', reason });
  }

  private finish(end: RequestEnd): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.end.resolve(end);
    this.stderr.push(null);
    this.stdout.push(null);
    this.socket.destroy();
  }

  private async send(body: RequestBody | undefined): Promise<void> {
    if (body?.bytes !== undefined && body.length > 0) await this.write(body.bytes);
    else if (body?.descriptor !== undefined) {
      // An application may answer before it has read the body, and then the caller closes its descriptor: so one of our own.
      const own = openSync(`/proc/self/fd/${body.descriptor}`, 'r');
      await this.sendFile(own, body.length).finally(() => closeSync(own));
    }
    await this.write(Buffer.alloc(0));
  }

  private async sendFile(descriptor: number, length: number): Promise<void> {
    for await (const piece of piecesOf(descriptor, length)) {
      if (this.hasEnded) return;
      await this.write(piece);
    }
  }

  /** Waits until the application is ready for more. */
  private async write(bytes: Buffer): Promise<void> {
    const { socket } = this;
    if (this.hasEnded || !socket.writable) return;
    if (!socket.write(stdin(bytes))) await drained(socket);
  }
}

function closed(stream: Readable | Socket): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', resolve);
  });
}
