/** A poll's target that is a server elsewhere: one connection that is kept for the polls, and a few for what viewers send. */
import type { HeaderList } from '../../../engine/engine.ts';
import { BodyTooLarge, collectReply } from '../../../http/reply-bodies.ts';
import type { UpstreamResponse } from '../../../upstream/exchange.ts';
import { UpstreamError } from '../../../upstream/faults.ts';
import { serverAt, Upstream } from '../../../upstream/upstream.ts';
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
  const server = serverAt(url);
  const polls = new Upstream({ server, maxConnections: 1 });
  const messages = new Upstream({ server, maxConnections: MESSAGE_CONNECTIONS });
  const own: HeaderList = [['user-agent', `runnel/${version}`], ['accept', '*/*'], ...headers];
  return {
    async ask(asked) {
      const { method, query, body, signal } = asked;
      const target = query === '' ? url.pathname : `${url.pathname}?${query}`;
      // What a request says itself replaces what every request has.
      const fields = new Map([...own, ...asked.headers]);
      try {
        const upstream = method === 'GET' ? polls : messages;
        const sent = body && { length: body.length, bytes: body, descriptor: undefined };
        return await whole(await upstream.ask({ method, target, headers: [...fields], body: sent, signal }), asked);
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

/** Rejects with a `PollFailure` where it is too large, or compressed. */
export async function whole(
  response: UpstreamResponse,
  { maxBytes, signal }: Pick<PollRequest, 'maxBytes' | 'signal'>,
): Promise<PollAnswer> {
  const { status, headers, length, body } = response;
  const encoding = headers.find(([name]) => name === 'content-encoding')?.[1] ?? 'identity';
  const problem =
    length !== undefined && length > maxBytes
      ? tooLarge(length, maxBytes)
      : encoding.toLowerCase() === 'identity'
        ? undefined
        : new PollFailure('its response is compressed, although the request did not ask for that', {
            detail: encoding,
          });
  if (problem !== undefined) {
    if ('start' in body) body.cancel();
    throw problem;
  }
  try {
    return { status, headers, body: await collectReply({ status, headers, body }, maxBytes, signal) };
  } catch (error) {
    throw error instanceof BodyTooLarge ? tooLarge(undefined, maxBytes) : error;
  }
}
