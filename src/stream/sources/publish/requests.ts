/** Requests that publish: a POST is one message, the body of a PUT is a live writer. */
import { isUtf8 } from 'node:buffer';
import { headerValue, type Reply } from '../../../engine/engine.ts';
import { HttpError, Superseded } from '../../../http/errors.ts';
import type { Call } from '../../../http/handler.ts';
import type { LiveBody } from '../../../http/live-body.ts';
import { bodyBytes } from '../../../http/spool.ts';
import { queryValue } from '../../../net/query.ts';
import type { Series } from '../../../ops/metrics/tally.ts';
import type { ClientRequest } from '../../../policy/addresses.ts';
import { noRoom } from '../../../programs/start-error.ts';
import { largestMessage } from '../../keys.ts';
import { lossCounter } from '../framed.ts';
import type { SourceParts } from '../kind.ts';
import type { SharedSource, SharedSourceEvents, SharedSources, WritingRequests } from '../source.ts';
import { idKey, isId, KnownIds, WHAT_AN_ID_IS } from './known-ids.ts';
import { LiveWriter, type WriterEnd } from './live-writer.ts';
import { NO_PICTURE, pictureIn } from './picture.ts';
import { type Published, PublishedSource } from './published.ts';
import { jsonReply, NOT_KEPT, publishedReply } from './reply.ts';

/** What the query says of a message. */
interface Asked {
  readonly id: string | undefined;
}

const NOTHING_ASKED: Asked = { id: undefined };
/** What `?body=` may say, instead of the method. */
const BODIES: readonly string[] = ['live', 'whole'];
const BAD_ESCAPE = /%(?![0-9a-f]{2})/i;

export interface PublishOptions {
  readonly idleTimeout: number;
  readonly maxWriters: number;
  readonly rememberIds: number;
}

export class PublishRequests implements SharedSources, WritingRequests {
  readonly methods = ['GET', 'HEAD', 'POST', 'PUT'];
  readonly requests = this;
  /** The one of the channel, which never ends. */
  private source: PublishedSource | undefined;
  private readonly ids: KnownIds;
  private readonly writers = new Set<LiveWriter>();
  private readonly maxMessage: number;
  private posted: Series | undefined;
  private finished: string | undefined;

  constructor(
    private readonly parts: SourceParts,
    private readonly options: PublishOptions,
  ) {
    this.ids = new KnownIds(options.rememberIds);
    this.maxMessage = parts.config.max_client_message ?? largestMessage(parts.config);
  }

  start(_first: Call | undefined, _query: string, events: SharedSourceEvents): Promise<SharedSource> {
    const { counts, framing } = this.parts;
    const ofPictures = framing.picture !== undefined;
    const picture = (message: Buffer): Buffer | undefined => pictureIn(message, framing, this.maxMessage);
    this.source = new PublishedSource(events, counts, ofPictures ? picture : undefined);
    return Promise.resolve(this.source);
  }

  takesLive(request: ClientRequest): boolean {
    const asked = request.query === undefined ? undefined : queryValue(request.query, 'body');
    if (asked === 'whole' || asked === 'live') return asked === 'live' && isWrite(request);
    return request.method === 'PUT' || (request.method === 'POST' && isOpenEnded(request));
  }

  answer(call: Call): Reply | Promise<Reply> {
    const { finished, source } = this;
    if (finished !== undefined || source === undefined) throw new Superseded(finished ?? 'the stream has not begun');
    const { query } = call.request;
    const asked = query === undefined ? NOTHING_ASKED : askedOf(query);
    if (typeof asked === 'string') return refused(call, 400, asked);
    const coding = headerValue(call.request.headers, 'content-encoding');
    // What is published is the message alone, and nobody could tell any more that it has to be decoded.
    if (coding !== undefined && coding.toLowerCase() !== 'identity')
      throw new HttpError(415, 'a message is published as it is: send it without Content-Encoding', {
        headers: [['accept-encoding', 'identity']],
      });
    const { id } = asked;
    if (id !== undefined && !isId(id)) {
      this.parts.counts.drop('wrong_id');
      return refused(call, 400, WHAT_AN_ID_IS);
    }
    const key = id === undefined ? undefined : idKey(id, call.user);
    if (call.live !== undefined) {
      if (key !== undefined) return refused(call, 400, 'an id is for one message, and this body may hold many');
      return this.write(call, call.live, source);
    }
    if (isOpenEnded(call.request)) throw new HttpError(411, 'a body that is one message needs a Content-Length');
    const { body } = call;
    if (body?.bytes !== undefined) return this.publishOne(call, body.bytes, key, source);
    return bodyBytes(body, this.maxMessage).then((bytes) => this.publishOne(call, bytes, key, source));
  }

  finish(reason: string): void {
    this.finished = reason;
    for (const writer of [...this.writers]) writer.stop(reason);
  }

  private publishOne(
    call: Call,
    bytes: Buffer,
    key: string | undefined,
    source: PublishedSource,
  ): Reply | Promise<Reply> {
    const { counts, framing } = this.parts;
    const known = key === undefined ? undefined : this.ids.of(key);
    if (known !== undefined) {
      counts.drop('repeated_id');
      return answerTo(known);
    }
    if (bytes.length > this.maxMessage) throw new HttpError(413, `the message is larger than ${this.maxMessage} bytes`);
    const ofPictures = framing.picture !== undefined;
    const message = ofPictures ? pictureIn(bytes, framing, this.maxMessage) : bytes;
    if (message === undefined) {
      counts.drop('not_a_picture');
      return refused(call, 415, NO_PICTURE);
    }
    this.countPosted(bytes.length);
    source.away = undefined;
    const type = headerValue(call.request.headers, 'content-type');
    const published = source.publish([message], ofPictures || isBinary(type, bytes, framing.binary));
    if (key !== undefined) this.ids.remember(key, published);
    return answerTo(published);
  }

  /** Its series is made with the first. */
  private countPosted(bytes: number): void {
    const { counts } = this.parts;
    counts.in.value++;
    counts.inBytes.value += bytes;
    this.posted ??= counts.tallies.published.series(counts.route, 'post');
    this.posted.value++;
  }

  private write(call: Call, body: LiveBody, source: PublishedSource): Promise<Reply> {
    const { parts, options, writers } = this;
    const { counts, framing, log, key: route } = parts;
    if (writers.size >= options.maxWriters)
      throw noRoom(`this stream has ${writers.size} live writers already (publish.max_writers)`);
    const { id, request, user } = call;
    const client = request.remoteAddress;
    const writer = new LiveWriter(
      body,
      { framing, maxMessage: this.maxMessage, idleTimeout: options.idleTimeout },
      {
        publish: (batch) => {
          for (const message of batch) counts.inBytes.value += message.length;
          counts.in.value += batch.length;
          counts.tallies.published.add(batch.length, route, 'body');
          return source.publish(batch);
        },
        cut: () => counts.drop('cut_message'),
        lost: lossCounter(counts, log),
        over: (ended, end, why) => {
          writers.delete(ended);
          counts.tallies.writers.add(-1, route);
          counts.tallies.writersEnded.add(1, route, end);
          const { messages, bytes } = ended;
          log.info(`a live writer has ended: ${why}`, { route, client, messages, bytes, id });
          if (writers.size === 0) this.tellAway(source, end, why);
        },
      },
    );
    writers.add(writer);
    counts.tallies.writers.add(1, route);
    log.info('a live writer has begun', { route, client, ...(user === undefined ? {} : { user: user.name }), id });
    if (source.away !== undefined && writers.size === 1) source.notice('a writer is connected again');
    source.away = undefined;
    writer.begin(call.signal);
    return writer.done;
  }

  /** As clients are told the end of a program: of the last writer, since what the others say goes on. */
  private tellAway(source: PublishedSource, end: WriterEnd, why: string): void {
    if (end === 'stopped') return;
    source.away = `the last live writer has ended (${why})`;
    source.notice(source.away);
  }
}

/** Also why it cannot be understood, as a sentence: what is meant must be certain, or a message would be taken twice, or never. */
function askedOf(query: string): Asked | string {
  const asked = new URLSearchParams(query);
  const [bodies, ids] = [asked.getAll('body'), asked.getAll('id')];
  if (bodies.length > 1 || !bodies.every((body) => BODIES.includes(body)))
    return '"body" in the query is "live" or "whole"';
  if (ids.length > 1) return 'a message has one id, and the query has several';
  if (ids.length === 1 && BAD_ESCAPE.test(query)) return 'the query has a "%" without two hexadecimal digits behind it';
  return { id: ids[0] };
}

/** A mistake of who writes, told in words: a program mostly shows them to somebody. */
function refused(call: Call, status: number, error: string): Reply {
  call.note('because', error);
  return jsonReply(status, { error });
}

function isWrite({ method }: ClientRequest): boolean {
  return method === 'POST' || method === 'PUT';
}

/** Its body ends when its client shuts its sending side: HTTP/1.0, as somebody types it into netcat. */
function isOpenEnded({ version, headers }: ClientRequest): boolean {
  return version === '1.0' && headerValue(headers, 'content-length') === undefined;
}

function answerTo({ id, kept }: Published): Reply | Promise<Reply> {
  return (
    kept?.then((isKept) => (isKept ? publishedReply(id) : jsonReply(507, { id, error: NOT_KEPT }))) ??
    publishedReply(id)
  );
}

/** Types that say what is text, and those that tools send when they know nothing. */
const TEXT = /^(?:text\/|application\/(?:[a-z0-9.+-]+\+)?(?:json|xml|x-ndjson|jsonl|yaml|toml|javascript)\b)/i;
const UNKNOWN = /^application\/x-www-form-urlencoded\b/i;

/** Whether a message is binary to clients: by its Content-Type; where that says nothing (`curl -d`), as the stream is, if the bytes allow it. */
function isBinary(type: string | undefined, bytes: Buffer, usual: boolean): boolean {
  if (type === undefined || type === '' || UNKNOWN.test(type)) return usual || !isUtf8(bytes);
  return !TEXT.test(type);
}
