/** An upstream that is read over HTTP: one request whose answer goes on. */
import type { BodySink, BodySource, HeaderList } from '../../../engine/engine.ts';
import { headerValue } from '../../../engine/engine.ts';
import { Held } from '../../../ownership/held.ts';
import type { UpstreamResponse } from '../../../upstream/exchange.ts';
import { explain, retryAfter } from '../poll/plan.ts';
import type { SourceServer } from '../poll/source-server.ts';
import { type BodyDecoder, type BodyRules, bodyDecoder, type Messages } from './body.ts';
import {
  failureOf,
  type ResumePoint,
  type StartedSubscription,
  type Subscription,
  type SubscriptionEvents,
  SubscriptionFailure,
  type SubscriptionTarget,
} from './subscription.ts';

/** Longest `retry` of an event stream that is obeyed. Milliseconds. */
const MAX_RETRY = 3_600_000;

export interface HttpTargetParts {
  readonly server: SourceServer;
  /** Path and query. */
  readonly target: string;
  readonly rules: BodyRules;
  /** Milliseconds until the head of the answer must be there. */
  readonly headTime: number;
}

export function httpTarget({ server, target, rules, headTime }: HttpTargetParts): SubscriptionTarget {
  return {
    async open(resume, signal) {
      const headers = requestFields(rules, resume);
      const times = { head: headTime, total: undefined };
      const response = await server.ask({ method: 'GET', target, headers, body: undefined, signal, times });
      const giveUp = (): void => {
        if ('start' in response.body) response.body.cancel();
      };
      const held = new Held(response, giveUp, signal);
      try {
        const decoder = decoderOf(response, rules, resume);
        held.take();
        const started: StartedSubscription = (events) => new HttpSubscription(response.body, decoder, events);
        return new Held(started, giveUp, signal);
      } finally {
        held.giveBack();
      }
    },
  };
}

function requestFields(rules: BodyRules, { lastEventId }: ResumePoint): HeaderList {
  // Servers that compare it as a whole are common.
  const accept = rules.framing === undefined ? 'text/event-stream' : '*/*';
  const resumed =
    lastEventId === undefined || lastEventId === ''
      ? []
      : [['last-event-id', Buffer.from(lastEventId).toString('latin1')] as const];
  return [['accept', accept], ['cache-control', 'no-cache'], ...resumed];
}

/** Throws a `SubscriptionFailure` for an answer that is no stream. */
function decoderOf({ status, headers }: UpstreamResponse, rules: BodyRules, resume: ResumePoint): BodyDecoder {
  if (status === 204)
    throw new SubscriptionFailure('the source has ended the stream (204)', { outcome: 'ended', isFinal: true });
  if (status < 200 || status > 299) throw refused(status, headers);
  const encoding = headerValue(headers, 'content-encoding') ?? 'identity';
  if (encoding.trim().toLowerCase() !== 'identity')
    throw new SubscriptionFailure('its response is compressed, although the request did not ask for that', {
      outcome: 'type',
      detail: encoding,
    });
  const decoder = bodyDecoder(headers, rules, resume);
  if (decoder !== undefined) return decoder;
  const type = /^\s*([!-~]+\/[!-:<-~]+)/.exec(headerValue(headers, 'content-type') ?? '')?.[1]?.toLowerCase();
  throw new SubscriptionFailure(`it answers with ${type ?? 'content without a type'} instead of an event stream`, {
    outcome: 'type',
    detail: 'if it sends lines or bytes, set "framing"',
  });
}

/** A status that is an error, or a redirect. */
export function refused(status: number, headers: HeaderList): SubscriptionFailure {
  const location = headerValue(headers, 'location');
  return new SubscriptionFailure(explain(status), {
    outcome: status === 401 ? 'login' : 'status',
    detail: location === undefined ? undefined : `to ${location.slice(0, 200)}`,
    pause: retryAfter(headers, Date.now()),
  });
}

class HttpSubscription implements Subscription, BodySink {
  private over = false;

  constructor(
    private readonly body: Buffer | BodySource,
    private readonly decoder: BodyDecoder,
    private readonly events: SubscriptionEvents,
  ) {
    // Nothing is told before this has returned.
    queueMicrotask(() => this.begin());
  }

  private begin(): void {
    const { body } = this;
    if (this.over) return;
    if ('start' in body) {
      body.start(this);
      return;
    }
    this.write(body);
    this.end();
  }

  release(): void {
    this.over = true;
    if ('start' in this.body) this.body.cancel();
  }

  // ---- from the upstream ----

  write(chunk: Uint8Array): boolean {
    if (this.over) return true;
    this.events.heard();
    this.take(() => this.decoder.push(chunk as Buffer));
    return true;
  }

  /** What lines and bytes are told as shares memory with what they came in. */
  lend(chunk: Uint8Array): boolean {
    return this.write(Buffer.from(chunk));
  }

  end(): void {
    if (this.over) return;
    this.take(() => this.decoder.end());
    const { retry, isResumed } = this.decoder;
    this.finish(
      new SubscriptionFailure('it has ended the stream', {
        outcome: 'ended',
        pause: retry === undefined ? undefined : Math.min(retry, MAX_RETRY),
        isRoutine: isResumed,
      }),
    );
  }

  fail(error: Error): void {
    this.finish(failureOf(error));
  }

  private take(decode: () => readonly Messages[]): void {
    try {
      for (const { batch, binary, picture } of decode()) {
        if (this.over) return;
        this.events.messages(batch, binary, picture);
      }
      const losses = this.decoder.takeLosses();
      if (losses !== undefined) this.events.leftOut(losses);
    } catch (error) {
      this.finish(failureOf(error));
    }
  }

  private finish(failure: SubscriptionFailure): void {
    if (this.over) return;
    this.release();
    this.events.ended(failure);
  }
}
