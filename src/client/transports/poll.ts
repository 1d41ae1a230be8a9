/** A shared stream by long-poll; what is sent goes by POST. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError, connectionError } from '../errors.ts';
import { type Ending, type Link, type LinkEvents, type LinkParts, withParameter } from './link.ts';
import { Posts } from './posts.ts';
import { rejection } from './rejection.ts';
import { Requests } from './requests.ts';

/** How long the gateway holds a poll back, milliseconds. */
const HELD_FOR = 25_000;
/** So many polls one after the other may be cut. Each is asked for again after twice as long, milliseconds, and is to be held back half as long. */
const MAX_CUTS = 6;
const FIRST_PAUSE = 100;

interface News {
  readonly cursor: string;
  readonly messages: readonly { readonly id: string; readonly data: string; readonly encoding?: string }[];
  readonly missed?: number | null;
  readonly encoding?: string;
  readonly end?: Ending;
}

export async function openPoll(parts: LinkParts, events: LinkEvents): Promise<Link> {
  const link = new PollLink(parts, events);
  await link.begin();
  return link;
}

class PollLink implements Link {
  private readonly requests: Requests;
  private readonly posts: Posts;
  private cursor: string;
  private isPaused = false;
  private isPolling = false;
  private isOver = false;
  /** How long the next poll may be held back, milliseconds: less where something on the way cuts what is silent for long. */
  private wait = HELD_FOR;
  private cuts = 0;

  constructor(
    private readonly parts: LinkParts,
    private readonly events: LinkEvents,
  ) {
    this.requests = new Requests(parts);
    this.posts = new Posts(parts, this.requests, events);
    this.cursor = parts.after ?? '';
  }

  /** The first poll is answered at once, so that it is known whether this way is open. */
  async begin(): Promise<void> {
    try {
      const news = await this.poll({ prefer: 'wait=0' });
      this.events.facts({ transport: 'poll', ...(news.encoding === undefined ? {} : { encoding: news.encoding }) });
      // Behind the opening, which is told when this has resolved.
      setImmediate(() => {
        this.take(news);
        void this.go();
      });
    } catch (error) {
      this.requests.close();
      throw error;
    }
  }

  send(data: string | Uint8Array, isText = typeof data === 'string'): Promise<void> {
    return this.posts.send(data, isText);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    void this.go();
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

  private async go(): Promise<void> {
    if (this.isPolling) return;
    this.isPolling = true;
    try {
      while (!this.isPaused && !this.isOver) await this.again();
    } catch (error) {
      this.over(connectionError(error));
    }
    this.isPolling = false;
  }

  /** The next poll. One that is cut is no end: the same is asked for again, behind the same message. */
  private async again(): Promise<void> {
    try {
      const prefer = this.wait < HELD_FOR ? { prefer: `wait=${this.wait / 1000}` } : undefined;
      const news = await this.poll(prefer ?? {});
      this.cuts = 0;
      this.take(news);
    } catch (error) {
      const isCut = error instanceof ConnectionError && error.failure === 'lost' && !this.isOver;
      if (!isCut || this.cuts === MAX_CUTS) throw error;
      this.wait = Math.max(1000, Math.floor(this.wait / 2000) * 1000);
      await sleep(FIRST_PAUSE * 2 ** this.cuts++, undefined, { signal: this.parts.signal });
    }
  }

  private async poll(headers: { readonly [name: string]: string }): Promise<News> {
    const { url, times } = this.parts.plan;
    const asked = withParameter(withParameter(url, 'cursor', this.cursor), 'transport', 'poll');
    const time = times.answer + HELD_FOR;
    const response = await this.requests.ask({ method: 'GET', url: asked, headers, time });
    if (response.statusCode !== 200) throw rejection(url.host, response);
    const text = await this.requests.read(response, time);
    const news = newsOf(text);
    if (news === undefined) throw new ConnectionError('protocol', `${url.host} did not answer as a poll`);
    return news;
  }

  private take(news: News): void {
    if (this.isOver) return;
    if (news.missed !== undefined) this.events.missed(news.missed ?? undefined);
    for (const { id, data, encoding = news.encoding } of news.messages)
      this.events.message(encoding === undefined ? data : Buffer.from(data, 'base64'), id);
    this.cursor = news.cursor;
    this.events.position(news.cursor);
    if (news.end !== undefined) this.over(news.end);
  }

  private over(how: Ending | ConnectionError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.requests.close();
    this.events.ended(how);
  }
}

function newsOf(text: string): News | undefined {
  try {
    const news = JSON.parse(text) as Partial<News> | null;
    return typeof news?.cursor === 'string' && Array.isArray(news.messages) ? (news as News) : undefined;
  } catch {
    return undefined;
  }
}
