/** A poll's target that is a server elsewhere: one connection that is kept for the polls, and a few for what viewers send. */
import type { HeaderList } from '../../../engine/engine.ts';
import { BodyTooLarge, collectReply } from '../../../http/reply-bodies.ts';
import type { UpstreamResponse } from '../../../upstream/exchange.ts';
import { UpstreamError } from '../../../upstream/faults.ts';
import { RequestFailure, SourceServer, type SourceServerParts } from './source-server.ts';
import { type PollAnswer, PollFailure, type PollRequest, type PollTarget, tooLarge } from './target.ts';

export interface PollServerParts extends Pick<SourceServerParts, 'config' | 'version'> {
  /** Its query is not looked at: each request has its own. */
  readonly url: URL;
  /** What every request has: credentials, where viewers share them. */
  readonly headers: HeaderList;
}

/** Connections for messages of viewers: a poll that waits for news must not hold them up. */
const MESSAGE_CONNECTIONS = 4;

/** Throws an `Error` for a file of authorities that cannot be read. */
export function pollServer({ url, config, version, headers }: PollServerParts): PollTarget {
  const polls = new SourceServer({ url, config, version, maxConnections: 1 });
  const messages = new SourceServer({ url, config, version, maxConnections: MESSAGE_CONNECTIONS });
  return {
    async ask(asked) {
      const { method, query, body, signal } = asked;
      const target = query === '' ? url.pathname : `${url.pathname}?${query}`;
      // What a request says itself replaces what every request has.
      const fields: HeaderList = [['accept', '*/*'], ...headers, ...asked.headers];
      try {
        const server = method === 'GET' ? polls : messages;
        const sent = body && { length: body.length, bytes: body, descriptor: undefined };
        return await whole(await server.ask({ method, target, headers: fields, body: sent, signal }), asked);
      } catch (error) {
        if (!(error instanceof UpstreamError || error instanceof RequestFailure)) throw error;
        throw new PollFailure(error.message, { ...(error.detail !== undefined && { detail: error.detail }) });
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
