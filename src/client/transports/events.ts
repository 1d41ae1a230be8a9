/** A stream by event stream; what is sent goes by POST. */
import type { IncomingMessage } from 'node:http';
import { EventStreamReader, type ServerEvent } from '../../upstream/event-stream.ts';
import { within } from '../dialing/within.ts';
import { ConnectionError, connectionError } from '../errors.ts';
import type { Facts } from '../options.ts';
import { type Ending, type Link, type LinkEvents, type LinkParts, tellEvent, withParameter } from './link.ts';
import { Posts } from './posts.ts';
import { rejection } from './rejection.ts';
import { Requests } from './requests.ts';

/** Until the first ping of a gateway, which comes after a second. Milliseconds. */
const FIRST_PING = 1000;

export async function openEvents(parts: LinkParts, events: LinkEvents): Promise<Link> {
  const { plan, after } = parts;
  const requests = new Requests(parts);
  try {
    const url = after === undefined ? plan.url : withParameter(plan.url, 'after', after);
    const headers = { accept: 'text/event-stream', 'cache-control': 'no-cache' };
    const response = await requests.ask({ method: 'GET', url, headers, time: plan.times.answer });
    // 204 tells a client that comes again that the stream is over.
    if (response.statusCode !== 200) throw rejection(plan.url.host, response);
    if (!/^text\/event-stream\b/i.test(response.headers['content-type'] ?? ''))
      throw new ConnectionError('protocol', `${plan.url.host} did not answer with an event stream`);
    const link = new EventsLink(response, requests, parts, events);
    // A gateway's first word is at once. Where something on the way holds it back, this is not the way.
    if (after !== undefined) await link.joined(parts.signal);
    return link;
  } catch (error) {
    requests.close();
    throw error;
  }
}

class EventsLink implements Link {
  private readonly posts: Posts;
  private readonly reader: EventStreamReader;
  private joinedOrOver: () => void = () => undefined;
  private isJoined = false;
  private isOver = false;
  private how: Ending | ConnectionError | undefined;
  private ping: number | undefined;
  private encoding: string | undefined;
  private watch: NodeJS.Timeout | undefined;
  /** Milliseconds until the next ping is due. */
  private due = FIRST_PING;

  constructor(
    private readonly response: IncomingMessage,
    private readonly requests: Requests,
    private readonly parts: LinkParts,
    private readonly events: LinkEvents,
  ) {
    this.posts = new Posts(parts, requests, events);
    // Base64 and the fields' names around it.
    this.reader = new EventStreamReader(parts.plan.maxMessage * 2);
    response.on('data', (chunk: Buffer) => this.take(chunk));
    response.on('end', () =>
      this.over(new ConnectionError('lost', `${parts.plan.url.host} has ended the event stream`)),
    );
    response.on('error', (error) => this.over(connectionError(error)));
    events.facts({ transport: 'events' });
  }

  /** Until the gateway has said who we are. Rejects when it does not. */
  async joined(signal: AbortSignal): Promise<void> {
    const { times, url } = this.parts.plan;
    const late = (): Error =>
      new ConnectionError('timeout', `${url.host} did not begin its event stream within ${times.answer} ms`);
    await within<void>({ time: times.answer, late, signal }, (resolve, reject) => {
      this.joinedOrOver = (): void => {
        if (this.how instanceof ConnectionError) reject(this.how);
        else resolve();
      };
      if (this.isJoined || this.isOver) this.joinedOrOver();
    });
  }

  send(data: string | Uint8Array, isText = typeof data === 'string'): Promise<void> {
    return this.posts.send(data, isText);
  }

  pause(): void {
    this.response.pause();
    clearTimeout(this.watch);
  }

  resume(): void {
    this.response.resume();
    this.guard();
  }

  close(ending: Ending): void {
    const late = setTimeout(() => this.over(ending), this.parts.plan.times.close);
    void this.posts.done.then(() => {
      clearTimeout(late);
      this.over(ending);
    });
  }

  terminate(): void {
    this.over(new ConnectionError('lost', 'the connection was ended'));
  }

  private take(chunk: Buffer): void {
    try {
      for (const event of this.reader.push(chunk)) this.event(event);
      if (this.reader.oversized > 0)
        throw new ConnectionError('protocol', `an event is larger than ${this.parts.plan.maxMessage * 2} characters`);
    } catch (error) {
      this.over(error instanceof ConnectionError ? error : new ConnectionError('protocol', String(error)));
    }
    this.guard();
  }

  private event({ name, id, data }: ServerEvent): void {
    if (this.isOver) return;
    // Of a stream that has messages of both types, where the others are text.
    if (name === 'binary' && this.isJoined) {
      this.events.message(Buffer.from(data, 'base64'), id ?? '');
      return;
    }
    // A server that is no gateway may call its messages as it likes.
    if (name === 'message' || (name !== 'joined' && !this.isJoined)) {
      this.events.message(this.encoding === undefined ? data : Buffer.from(data, 'base64'), id ?? '');
      return;
    }
    if (name === 'end') {
      const { code = 1000, reason = '' } = JSON.parse(data) as Partial<Ending>;
      this.over({ code, reason });
      return;
    }
    if (name === 'joined') {
      const facts = JSON.parse(data) as Facts;
      this.posts.session = facts.session;
      this.encoding = facts.encoding;
      this.ping = facts.ping;
      this.isJoined = true;
    }
    this.due = tellEvent(this.events, name, data) ?? this.due;
    if (name === 'joined') this.joinedOrOver();
  }

  /** Each ping says when the next is due. Where it stays out the line is dead; an early one was held back by something on the way. */
  private guard(): void {
    clearTimeout(this.watch);
    if (this.ping === undefined || this.isOver || this.response.isPaused()) return;
    const { ping, parts } = this;
    const silence = Math.max(this.due * 2, parts.plan.times.answer);
    this.watch = setTimeout(() => {
      const isEarly = this.due < ping;
      this.over(new ConnectionError('lost', `nothing comes from ${parts.plan.url.host} any more`), isEarly);
    }, silence);
  }

  private over(how: Ending | ConnectionError, held = false): void {
    if (this.isOver) return;
    this.isOver = true;
    this.how = how;
    clearTimeout(this.watch);
    this.response.destroy();
    this.requests.close();
    this.joinedOrOver();
    this.events.ended(how, held);
  }
}
