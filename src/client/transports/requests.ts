/** HTTP requests of one link: over connections that the dialer makes, which are kept for the next request for a moment. */
import { Agent, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { within } from '../dialing/within.ts';
import { ConnectionError, connectionError } from '../errors.ts';
import type { LinkParts } from './link.ts';

/** Less than servers keep a connection without a request, so that none is used in the moment in which it is closed. Milliseconds. */
const KEPT_FOR = 4000;
/** Of an answer that is read whole. */
const MAX_ANSWER = 16 * 1024 * 1024;

interface DialledAgent extends Agent {
  createConnection(options: unknown, done: (error: Error | null, socket?: Socket) => void): undefined;
}

export interface Question {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers?: { readonly [name: string]: string };
  readonly body?: string | Uint8Array;
  /** Milliseconds until the answer begins. */
  readonly time: number;
}

export class Requests {
  private readonly agent: Agent;
  private readonly stop = new AbortController();
  private readonly signal: AbortSignal;

  constructor(private readonly parts: LinkParts) {
    this.signal = AbortSignal.any([parts.signal, this.stop.signal]);
    this.agent = new Agent({ keepAlive: true, timeout: KEPT_FOR });
    (this.agent as DialledAgent).createConnection = (_options, done) => {
      parts.dialer.dial(this.signal).then((socket) => done(null, socket), done);
      return undefined;
    };
  }

  /** The head of the answer; its body waits. Rejects with a `ConnectionError` where there is none, whatever its status else. */
  async ask({ method, url, headers = {}, body, time }: Question): Promise<IncomingMessage> {
    const server = this.parts.plan.url.host;
    const late = (): Error => new ConnectionError('timeout', `${server} did not answer within ${time} ms`);
    const asked = request({
      agent: this.agent,
      method,
      path: `${url.pathname}${url.search}`,
      setHost: false,
      headers: {
        host: url.host,
        'user-agent': 'runnel',
        ...this.parts.plan.headers,
        ...headers,
        ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      },
    });
    asked.on('socket', (socket) => socket.resume());
    try {
      return await within<IncomingMessage>({ time, late, signal: this.signal }, (resolve, reject) => {
        asked.on('response', resolve);
        asked.on('error', (error) => reject(this.failure(error)));
        asked.end(body);
      });
    } catch (error) {
      asked.on('error', () => undefined).destroy();
      throw error;
    }
  }

  /** The whole body, as text. */
  async read(response: IncomingMessage, time: number): Promise<string> {
    const late = (): Error =>
      new ConnectionError('timeout', `${this.parts.plan.url.host} did not finish its answer within ${time} ms`);
    try {
      return await within<string>({ time, late, signal: this.signal }, (resolve, reject) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          chunks.push(chunk);
          if (length > MAX_ANSWER) reject(new ConnectionError('protocol', 'an answer is too large'));
        });
        response.on('end', () => resolve(Buffer.concat(chunks).toString()));
        response.on('error', (error) => reject(this.failure(error)));
      });
    } catch (error) {
      response.on('error', () => undefined).destroy();
      throw error;
    }
  }

  /** Ends what is under way. */
  close(): void {
    this.stop.abort(new ConnectionError('lost', 'the connection was ended'));
    this.agent.destroy();
  }

  private failure(error: Error): ConnectionError {
    if (error instanceof ConnectionError) return error;
    const isOfHttp = 'code' in error && String(error.code).startsWith('HPE_');
    const server = this.parts.plan.url.host;
    if (isOfHttp) return new ConnectionError('protocol', `${server}: ${error.message}`, { cause: error });
    return connectionError(
      new ConnectionError('lost', `the connection to ${server} was lost: ${error.message}`, { cause: error }),
    );
  }
}
