/** Long-polling: one request, the news since the cursor, as JSON. */
import { headerValue } from '../../engine/engine.ts';
import type { Answer, Call } from '../../http/handler.ts';
import { queryValue } from '../../net/query.ts';
import { Deferred } from '../../ownership/deferred.ts';
import { untilAborted } from '../../ownership/until-aborted.ts';
import type { LongPollContent, LongPolls } from '../channel/long-polls.ts';
import type { StartPoint } from '../history/replay.ts';
import type { Ending } from '../message.ts';
import type { ClientParts } from './client.ts';

/** Bytes of messages in one answer: what came through a bad line is not lost with the rest. The next request is answered at once. */
const MOST_BYTES = 64 * 1024;
/** How long one waits for news: under the minute that proxies allow. Milliseconds. */
const MAX_WAIT = 25_000;

/**
 * Answers at once when there is news after `?cursor=`, otherwise with the first news, or empty after a while; after less
 * where the client prefers that (`Prefer: wait=SECONDS`, RFC 7240 section 4.3).
 */
export async function answerLongPoll(call: Call, longPolls: LongPolls, clientParts: ClientParts): Promise<Answer> {
  const { signal, request } = call;
  const { counts, binary } = clientParts;
  const cursor = queryValue(request.query, 'cursor');
  // A client that has gone leaves its position as it was, for its next request.
  signal.throwIfAborted();
  // From here on it holds its position, and what comes meanwhile.
  const start = longPolls.start(cursor);
  const answer = async (ending: Ending | undefined): Promise<Answer> =>
    reply(await longPolls.content(start, MOST_BYTES, ending), binary);
  // Without a cursor the client learns where the stream is, and what replay gives it.
  if (hasNews(start) || cursor === undefined || cursor === '') return await answer(undefined);
  counts.joined('poll');
  const news = new Deferred<Ending | undefined>();
  const timer = setTimeout(() => news.resolve(undefined), Math.min(MAX_WAIT, preferredWait(call) ?? MAX_WAIT));
  const stop = longPolls.wait(news.resolve);
  try {
    const ending = await untilAborted(news.promise, signal);
    counts.left(1000);
    // In the next turn: a program's lines that come together go together.
    await new Promise(setImmediate);
    return await answer(ending);
  } catch (error) {
    counts.left(1006);
    // It may come again by another connection.
    longPolls.expect(start.from);
    throw error;
  } finally {
    clearTimeout(timer);
    stop();
  }
}

/** The last answer of a stream that ended between two of its requests; undefined for one that goes on, or that the client does not know. */
export function answerAfterEnd(
  call: Call,
  longPolls: LongPolls,
  { binary }: ClientParts,
): Answer | Promise<Answer> | undefined {
  const cursor = queryValue(call.request.query, 'cursor') ?? '';
  const ending = longPolls.endedAfter(cursor);
  if (ending === undefined) return undefined;
  const content = longPolls.content(longPolls.start(cursor), MOST_BYTES, ending);
  return content instanceof Promise ? content.then((ready) => reply(ready, binary)) : reply(content, binary);
}

function hasNews({ snapshot, from, missed, earlier }: StartPoint): boolean {
  return snapshot.length > 0 || missed !== 0 || earlier !== undefined || from.hasNext;
}

/** Milliseconds that a client prefers to wait; undefined without a preference. */
export function preferredWait(call: Call): number | undefined {
  const seconds = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})\b/i.exec(headerValue(call.request.headers, 'prefer') ?? '')?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

function reply({ messages: batch, missed, cursor, ending }: LongPollContent, binary: boolean): Answer {
  const messages = batch.map((message) => ({
    id: message.id,
    data: message.binary ? message.data.toString('base64') : message.payload.toString(),
    // Of a stream of both types, where text is what needs no word.
    ...(message.binary && !binary ? { encoding: 'base64' } : {}),
  }));
  const body = {
    cursor,
    messages,
    ...(missed === 0 ? {} : { missed: missed ?? null }),
    ...(binary ? { encoding: 'base64' } : {}),
    ...(ending === undefined ? {} : { end: ending }),
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
