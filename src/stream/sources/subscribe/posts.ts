/** What viewers say to an upstream that is read over HTTP: each message is a POST, and its answer is the sender's. */
import { AskQueue } from '../poll/ask-queue.ts';
import { answered, mediaTypeOf } from '../poll/messages.ts';
import { whole } from '../poll/server.ts';
import type { SourceServer } from '../poll/source-server.ts';
import { PollFailure } from '../poll/target.ts';
import type { ClientIdentity, MessageAnswer } from '../source.ts';
import { failureOf } from './subscription.ts';

export interface PostsParts {
  readonly server: SourceServer;
  /** Path and query. */
  readonly target: string;
  /** The media type of every message; undefined: its own, or what it looks like. */
  readonly messageType: string | undefined;
  /** Bytes of an answer. */
  readonly maxMessage: number;
  /** Bytes of messages that may wait for their answers. */
  readonly maxQueue: number;
}

/** How many messages are with the upstream at one time: as many connections it has for them. */
export const POSTS_AT_ONCE = 4;
const MAX_WAITING = 256;
/** How long one may take. Milliseconds. */
const POST_TIME = 30_000;

export class Posts {
  private readonly queue: AskQueue;
  private readonly underWay = new Set<AbortController>();

  constructor(private readonly parts: PostsParts) {
    this.queue = new AskQueue({ atOnce: POSTS_AT_ONCE, maxBytes: parts.maxQueue, maxWaiting: MAX_WAITING });
  }

  send(sender: ClientIdentity | undefined, message: Buffer, type: string | undefined): 'full' | Promise<MessageAnswer> {
    const mediaType = mediaTypeOf(message, this.parts.messageType ?? type);
    const answer = this.queue.add(message.length, sender?.id, () => this.post(message, mediaType));
    return answer === undefined ? 'full' : answered(answer);
  }

  close(): void {
    const ended = new PollFailure('the stream has ended', { status: 503 });
    this.queue.close(ended);
    for (const controller of this.underWay) controller.abort(ended);
    this.parts.server.close();
  }

  private async post(message: Buffer, type: string) {
    const { server, target, maxMessage: maxBytes } = this.parts;
    const controller = new AbortController();
    const { signal } = controller;
    const late = new PollFailure(`it did not answer within ${POST_TIME / 1000} s`, { status: 504 });
    const timer = setTimeout(() => controller.abort(late), POST_TIME);
    this.underWay.add(controller);
    try {
      const body = { length: message.length, bytes: message, descriptor: undefined };
      const headers = [
        ['accept', '*/*'],
        ['content-type', type],
      ] as const;
      const response = await server.ask({ method: 'POST', target, headers, body, signal });
      return await whole(response, { maxBytes, signal });
    } catch (error) {
      if (error instanceof PollFailure) throw error;
      const { message: why, detail } = failureOf(error);
      throw new PollFailure(why, { ...(detail !== undefined && { detail }) });
    } finally {
      clearTimeout(timer);
      this.underWay.delete(controller);
    }
  }
}
