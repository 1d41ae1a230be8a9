/** A poll's target that is a server elsewhere: one connection that is kept for the polls, and a few for what viewers send. */
import type { HeaderList } from '../../../engine/engine.ts';
import type { UpstreamResponse } from '../../../upstream/exchange.ts';
import { UpstreamError } from '../../../upstream/faults.ts';
import { Upstream } from '../../../upstream/upstream.ts';
import { type PollAnswer, PollFailure, type PollRequest, type PollTarget, tooLarge } from './target.ts';

export interface PollServerParts {
  /** Its query is not looked at: each request has its own. */
  readonly url: URL;
  /** Of runnel. */
  readonly version: string;
  /** What every request has: credentials, where viewers share them. */
  readonly headers: HeaderList;
}

/** Connections for messages of viewers: a poll that waits for news must not hold them up. */
const MESSAGE_CONNECTIONS = 4;

export function pollServer({ url, version, headers }: PollServerParts): PollTarget {
  const polls = new Upstream({ url, maxConnections: 1 });
  const messages = new Upstream({ url, maxConnections: MESSAGE_CONNECTIONS });
  const own: HeaderList = [['user-agent', `runnel/${version}`], ['accept', '*/*'], ...headers];
  return {
    async ask(asked) {
      const { method, query, body, signal } = asked;
      const target = query === '' ? url.pathname : `${url.pathname}?${query}`;
      // What a request says itself replaces what every request has.
      const fields = new Map([...own, ...asked.headers]);
      try {
        const upstream = method === 'GET' ? polls : messages;
        return await whole(await upstream.ask({ method, target, headers: [...fields], body, signal }), asked);
      } catch (error) {
        throw error instanceof UpstreamError
          ? new PollFailure(error.message, { ...(error.detail !== undefined && { detail: error.detail }) })
          : error;
      }
    },
    close() {
      polls.close();
      messages.close();
    },
  };
}

async function whole(response: UpstreamResponse, { maxBytes, signal }: PollRequest): Promise<PollAnswer> {
  const { status, headers, length, body } = response;
  try {
    if (length !== undefined && length > maxBytes) throw tooLarge(length, maxBytes);
    const encoding = headers.find(([name]) => name === 'content-encoding')?.[1] ?? 'identity';
    if (encoding.toLowerCase() !== 'identity')
      throw new PollFailure('its response is compressed, although the request did not ask for that', {
        detail: encoding,
      });
    const pieces: Buffer[] = [];
    let taken = 0;
    for await (const piece of body as AsyncIterable<Buffer>) {
      taken += piece.length;
      if (taken > maxBytes) throw tooLarge(undefined, maxBytes);
      pieces.push(piece);
    }
    return { status, headers, body: Buffer.concat(pieces, taken) };
  } catch (error) {
    body.destroy();
    throw signal.aborted ? signal.reason : error;
  }
}
