/** A WebSocket client on a stream of Node's HTTP/2 client (RFC 8441): its messages, and how it ended. */
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { clientFrame } from './frames.ts';
import { until } from './until.ts';

const TEXT = 1;
const CLOSE = 8;
const LONG = 126;

export class Http2Socket {
  readonly messages: string[] = [];
  /** Of the other side's close frame. */
  code: number | undefined;
  reason = '';
  status: number | undefined;
  private rest: Buffer = Buffer.alloc(0);

  private constructor(readonly stream: ClientHttp2Stream) {
    stream.on('response', (headers) => {
      this.status = headers[':status'];
    });
    stream.on('data', (bytes: Buffer) => this.take(bytes));
    stream.on('error', () => undefined);
  }

  /** Resolves when it is answered, whatever the answer: `status` has it. */
  static async open(session: ClientHttp2Session, path: string): Promise<Http2Socket> {
    await until(() => session.remoteSettings?.enableConnectProtocol === true, 'the settings');
    const headers = {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':path': path,
      ':authority': 'board.test',
      'sec-websocket-version': '13',
    };
    const socket = new Http2Socket(session.request(headers, { endStream: false }));
    await until(() => socket.status !== undefined || socket.stream.destroyed, 'an answer');
    return socket;
  }

  /** The stream is over: both sides of it. */
  get ended(): boolean {
    return this.stream.destroyed;
  }

  send(text: string): void {
    this.stream.write(clientFrame(TEXT, Buffer.from(text)));
  }

  /** Sends a close frame; the server ends the stream. */
  close(code: number): void {
    this.stream.end(clientFrame(CLOSE, Buffer.from([code >> 8, code & 0xff])));
  }

  async first(count: number): Promise<readonly string[]> {
    await until(() => this.messages.length >= count || this.ended, `${count} messages`);
    return this.messages.slice(0, count);
  }

  private take(bytes: Buffer): void {
    this.rest = Buffer.concat([this.rest, bytes]);
    for (;;) {
      const [first = 0, second = 0] = this.rest;
      const start = second < LONG ? 2 : 4;
      if (this.rest.length < start) return;
      const length = second < LONG ? second : this.rest.readUInt16BE(2);
      if (this.rest.length < start + length) return;
      const payload = this.rest.subarray(start, start + length);
      this.rest = this.rest.subarray(start + length);
      if ((first & 0xf) === TEXT) this.messages.push(payload.toString());
      if ((first & 0xf) !== CLOSE) continue;
      this.code = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
      this.reason = payload.toString('utf8', 2);
      // As RFC 6455 section 5.5.1 has it; unless we have asked for it.
      if (this.stream.writable) this.stream.end(clientFrame(CLOSE, payload.subarray(0, 2)));
    }
  }
}
