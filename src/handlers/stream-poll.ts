/** Long-polling: one request, the news since the cursor, as JSON. */
import { headerValue } from '../engine/engine.ts';
import type { Answer, Call } from '../http/handler.ts';
import type { Ending, Message } from '../stream/message.ts';
import type { SharedChannel } from '../stream/shared-channel.ts';
import type { News } from '../stream/shared-options.ts';
import { queryValue } from '../stream/transport.ts';
import type { Reception } from './stream-clients.ts';

/** Bytes of messages in one answer: what came through a bad line is not lost with the rest. The next poll is answered at once. */
const MOST_BYTES = 64 * 1024;

/**
 * Answers at once when there is news after `?cursor=`, otherwise with the first news, or empty after `wait` milliseconds; after less
 * where the client prefers that (`Prefer: wait=SECONDS`, RFC 7240 section 4.3).
 */
export function pollAnswer(call: Call, channel: SharedChannel, reception: Reception, wait: number): Promise<Answer> {
  const cursor = queryValue(call.request.query, 'cursor');
  const { counts, binary } = reception;
  const known = channel.news(cursor);
  // Without a cursor the client learns where the stream is, and what replay gives it.
  if (known !== undefined || cursor === undefined || cursor === '')
    return Promise.resolve(reply(known, channel, binary, undefined));
  const { signal } = call;
  if (signal.aborted) return Promise.reject(signal.reason);
  counts.joined('poll');
  return new Promise((resolve, reject) => {
    const over = (code: number): void => {
      clearTimeout(timer);
      take();
      signal.removeEventListener('abort', left);
      counts.left(code);
    };
    const done = (ending: Ending | undefined): void => {
      over(1000);
      // In the next turn: a program's lines that come together go together.
      setImmediate(() => resolve(reply(channel.news(cursor), channel, binary, ending)));
    };
    const left = (): void => {
      over(1006);
      reject(signal.reason);
    };
    const timer = setTimeout(() => done(undefined), Math.min(wait, preferredWait(call) ?? wait));
    const take = channel.onNews(done);
    signal.addEventListener('abort', left);
  });
}

/** The last answer of a stream that ended between two polls; undefined for one that goes on, or that the client does not know. */
export function endAnswer(call: Call, channel: SharedChannel, reception: Reception): Answer | undefined {
  const cursor = queryValue(call.request.query, 'cursor') ?? '';
  const ending = channel.endedAfter(cursor);
  return ending === undefined ? undefined : reply(channel.news(cursor), channel, reception.binary, ending);
}

/** Milliseconds; undefined without a preference. */
function preferredWait(call: Call): number | undefined {
  const seconds = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})\b/i.exec(headerValue(call.request.headers, 'prefer') ?? '')?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

/** As many messages as go into one answer, at least one, and where the next poll goes on. */
function firstOf(messages: readonly Message[], lastId: string): { batch: readonly Message[]; cursor: string } {
  let bytes = 0;
  const end = messages.findIndex((message, at) => {
    bytes += message.data.length;
    return at > 0 && bytes > MOST_BYTES;
  });
  const batch = end < 0 ? messages : messages.slice(0, end);
  return { batch, cursor: end < 0 ? lastId : (batch.at(-1)?.id ?? lastId) };
}

function reply(news: News | undefined, channel: SharedChannel, binary: boolean, ending: Ending | undefined): Answer {
  const { batch, cursor } = firstOf(news?.messages ?? [], channel.history.lastId);
  const messages = batch.map((message) => ({
    id: message.id,
    data: binary ? message.data.toString('base64') : message.payload.toString(),
  }));
  const body = {
    cursor,
    messages,
    ...(news?.missed === 0 || news === undefined ? {} : { missed: news.missed ?? null }),
    ...(binary ? { encoding: 'base64' } : {}),
    ...(ending === undefined || cursor !== channel.history.lastId ? {} : { end: ending }),
  };
  return {
    status: 200,
    headers: [
      ['content-type', 'application/json'],
      ['cache-control', 'no-store'],
    ],
    body: JSON.stringify(body),
  };
}
