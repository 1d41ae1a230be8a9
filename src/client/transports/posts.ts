/** Sending where the connection only goes one way: each message is a POST, one after the other. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError } from '../errors.ts';
import { type LinkEvents, type LinkParts, withParameter } from './link.ts';
import type { Requests } from './requests.ts';

/** The server takes no message now, and it may be otherwise in a moment: this one was not taken. */
const BUSY: ReadonlySet<number> = new Set([429, 503]);
/** Milliseconds between two attempts, where the server does not say. */
const RETRY = 1000;
const LONGEST_RETRY = 30_000;

export class Posts {
  private last: Promise<void> = Promise.resolve();
  /** The secret by which the stream knows this client. */
  session: string | undefined;

  constructor(
    private readonly parts: LinkParts,
    private readonly requests: Requests,
    private readonly events: LinkEvents,
  ) {}

  /** Resolves when the message was taken. Rejects where it was refused. */
  send(data: string | Uint8Array, isText: boolean): Promise<void> {
    const sent = this.last.then(() => this.post(data, isText));
    this.last = sent.catch(() => undefined);
    return sent;
  }

  /** When everything is sent, or was refused. */
  get done(): Promise<void> {
    return this.last;
  }

  private async post(data: string | Uint8Array, isText: boolean): Promise<void> {
    const { url, times } = this.parts.plan;
    const to = this.session === undefined ? url : withParameter(url, 'session', this.session);
    const type = isText ? 'text/plain; charset=utf-8' : 'application/octet-stream';
    const give = Date.now() + times.stall;
    for (;;) {
      const headers = { 'content-type': type };
      const response = await this.requests.ask({ method: 'POST', url: to, headers, body: data, time: times.answer });
      const text = await this.requests.read(response, times.answer);
      const { statusCode: status = 0, statusMessage = '' } = response;
      if (status >= 200 && status < 300) {
        // The answer is for the sender alone.
        if (status !== 202 && text !== '') this.events.message(text, '');
        return;
      }
      const told = Number(response.headers['retry-after']) * 1000;
      const delay = Number.isNaN(told) ? RETRY : Math.min(told, LONGEST_RETRY);
      if (!BUSY.has(status) || Date.now() + delay > give)
        throw new ConnectionError('unsent', `${url.host} refused a message: ${status} ${statusMessage}`.trim(), {
          status,
        });
      await sleep(delay, undefined, { signal: this.parts.signal });
    }
  }
}
