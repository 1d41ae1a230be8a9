/** `?transport=last`: the last message of a shared stream alone, as a camera's address for snapshots gives its picture. */
import { headerValue } from '../../engine/engine.ts';
import type { Answer, Call } from '../../http/handler.ts';
import { textReply } from '../../http/reply.ts';
import { Deferred } from '../../ownership/deferred.ts';
import { untilAborted } from '../../ownership/until-aborted.ts';
import type { SharedChannel } from '../channel/shared.ts';
import type { StreamCounts } from '../counts.ts';
import type { Message } from '../message.ts';
import { preferredWait } from './long-poll.ts';

/** How long a source that has just been started, or is away, has for its first message. Milliseconds. */
const MAX_WAIT = 10_000;

/**
 * Answers at once where the source that runs has said something. Else with what it says first, or after a while with an older message. Where there
 * is none at all: 503 if the source is away, 204 if it has just said nothing so far. A source that has to be asked is running by then.
 * @param holds the last message is current however old it is, as where clients alone make them: nothing is waited for
 */
export async function answerLast(
  call: Call,
  channel: SharedChannel,
  counts: StreamCounts,
  holds: boolean,
): Promise<Answer> {
  const current = holds ? channel.last('any') : (channel.last('new') ?? (await next(call, channel, counts)));
  if (current !== undefined) return reply(call, current, channel.age);
  const { away } = channel;
  if (away !== undefined) return textReply(503, `${away}\n`, [['retry-after', '5']]);
  const old = channel.last('any');
  if (old !== undefined) return reply(call, old, channel.age);
  return { status: 204, headers: [['cache-control', 'no-store']], body: undefined };
}

/** The next message; undefined where none comes in time. It keeps the source running, as a client does. */
async function next(call: Call, channel: SharedChannel, counts: StreamCounts): Promise<Message | undefined> {
  const { signal } = call;
  signal.throwIfAborted();
  const news = new Deferred<void>();
  const timer = setTimeout(news.resolve, Math.min(MAX_WAIT, preferredWait(call) ?? MAX_WAIT));
  const stop = channel.longPolls.wait(() => news.resolve());
  counts.joined('last');
  try {
    await untilAborted(news.promise, signal);
    counts.left(1000);
    return channel.last('new');
  } catch (error) {
    counts.left(1006);
    throw error;
  } finally {
    clearTimeout(timer);
    stop();
  }
}

/** @param age milliseconds */
function reply({ request: { headers } }: Call, { id, data, type }: Message, age: number | undefined): Answer {
  const etag = `"${id}"`;
  const fields = [
    ['content-type', type],
    ['cache-control', 'no-cache'],
    ['etag', etag],
    ['last-event-id', id],
    ...(age === undefined ? [] : [['age', String(Math.floor(age / 1000))] as const]),
    // What a source says is data, whatever it looks like.
    ['x-content-type-options', 'nosniff'],
  ] as const;
  const known = (headerValue(headers, 'if-none-match') ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  // A star stands for whatever there is (RFC 9110 section 13.1.2).
  if (known.includes(etag) || known.includes('*')) return { status: 304, headers: fields, body: undefined };
  return { status: 200, headers: fields, body: data };
}
