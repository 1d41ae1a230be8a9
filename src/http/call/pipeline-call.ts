/** One request on its way through the pipeline: what is known of it, and the one place where it is answered, counted and logged. */
import {
  type Exchange,
  type Handshake,
  type HeaderList,
  headerValue,
  type Reply,
  type Upgrade,
} from '../../engine/engine.ts';
import { bodyLength } from '../../engine/replies.ts';
import { isRequestId } from '../../net/tracing.ts';
import { methodLabel, statusClass } from '../../ops/tallies.ts';
import type { ClientRequest } from '../../policy/addresses.ts';
import type { User } from '../../policy/auth/auth.ts';
import { tokenParameter } from '../../policy/auth/query-token.ts';
import type { Refusal } from '../../policy/refusal.ts';
import { NOTHING_BELOW, ROOT_PATH } from '../../routing/canonical-path.ts';
import type { Match } from '../../routing/router.ts';
import { asksForHtml } from '../accept.ts';
import { Busy, HttpError } from '../errors.ts';
import { type Body, type Call, cancelAnswer } from '../handler.ts';
import type { LiveBody } from '../live-body.ts';
import { errorReply, unshared, withUpgradeHeaders } from '../reply.ts';
import type { PipelineParts, Route } from '../route.ts';
import { LEFT, MeteredBody, TOO_SLOW } from '../sending/metered-body.ts';
import type { ReadyReplies } from '../sending/ready-replies.ts';
import type { Spool } from '../spool.ts';
import { accessOf } from '../writing.ts';
import type { RequestFacts } from './request-log.ts';

const NO_BODY: Body = { length: 0, bytes: Buffer.alloc(0), descriptor: undefined };
/** A redirected request has lost its body, so what described the body goes too. */
const BODY_FIELDS: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
]);
const NO_ROUTE = '-';
const NO_FIELDS: HeaderList = [];
/** What a client's leaving is called in logs since nginx; nobody is there to get it. */
const CLIENT_LEFT = 499;

export class PipelineCall implements Call, RequestFacts {
  readonly handshake: Handshake | undefined;
  request: ClientRequest;
  user: User | undefined;
  body: Body | undefined = NO_BODY;
  live: LiveBody | undefined;
  mayWrite = true;
  path = ROOT_PATH;
  rest = NOTHING_BELOW;
  host = '';
  redirects = 0;
  private ownId: string | undefined;
  private route: Route | undefined;
  private spool: Spool | undefined;
  /** Milliseconds of `performance.now()`. */
  readonly started = performance.now();
  notes: { [key: string]: string | number } | undefined;
  private aborting: AbortController | undefined;
  private watched = false;
  gone = false;
  private logged = false;
  /** The answer has no end, or waits for news or for the end of a live body: how long it takes says nothing. */
  lasting = false;

  constructor(
    readonly exchange: Exchange,
    private readonly parts: PipelineParts,
    private readonly ready: ReadyReplies,
  ) {
    this.request = parts.policies.proxies.asClient(exchange.request);
    this.handshake = exchange.handshake;
  }

  /** Most requests never need theirs. That of a proxy that we trust is theirs, so that one name finds a request in the logs of both. */
  get id(): string {
    this.ownId ??= this.givenId() ?? this.parts.nextId();
    return this.ownId;
  }

  private givenId(): string | undefined {
    if (this.request.proxied !== true) return undefined;
    const given = headerValue(this.exchange.request.headers, 'x-request-id');
    return given !== undefined && isRequestId(given) ? given : undefined;
  }

  get routeName(): string {
    return this.route?.key ?? NO_ROUTE;
  }

  /** The router has found the route. */
  enter({ value, path, rest }: Match<Route>, host: string): void {
    this.route = value;
    this.path = path;
    this.rest = rest;
    this.host = host;
  }

  /** Its body, if it has one, is here already. */
  get received(): boolean {
    return this.body !== NO_BODY;
  }

  attach(spool: Spool): void {
    this.spool = spool;
    this.watch();
  }

  /** A local redirect: from here on this is a GET for another target, without a body. */
  redirect(path: string, query: string | undefined): void {
    this.redirects++;
    this.spool?.release();
    this.spool = undefined;
    this.body = NO_BODY;
    const headers = this.request.headers.filter(([name]) => !BODY_FIELDS.has(name));
    const method = this.request.method === 'HEAD' ? 'HEAD' : 'GET';
    this.request = { ...this.request, method, path, query, headers };
  }

  /** The query with which the client would ask for this itself: with the token that was taken out of it. */
  get ownQuery(): string | undefined {
    if (this.redirects === 0) return this.exchange.request.query;
    const parts = [this.request.query, this.token].filter((part) => part !== undefined);
    return parts.length === 0 ? undefined : parts.join('&');
  }

  /**
   * What leads a client from where it asked to that path of ours, below whatever prefix a proxy has taken off. `folder` is canonical, and ends
   * with a slash. Relative where nobody says what the prefix is; that needs the client to have spelled the path as we do.
   */
  folderReference(folder: string): string {
    const { prefix = '', path } = this.request;
    if (prefix !== '' || this.redirects > 0 || `${path}/` !== folder.split('?', 1)[0]) return prefix + folder;
    return `./${folder.slice(path.lastIndexOf('/') + 1)}`;
  }

  /** What leads a client from where it asked to our "/", below whatever prefix a proxy has taken off; undefined where it is there. */
  private get homeReference(): string | undefined {
    const { prefix = '', path } = this.request;
    if (path === '/') return undefined;
    if (prefix !== '') return `${prefix}/`;
    // As the client has spelled it: by that it resolves a relative reference.
    const folders = this.exchange.request.path.split('/').length - 2;
    if (folders < 0 || folders > MAX_FOLDERS) return undefined;
    return folders === 0 ? './' : '../'.repeat(folders);
  }

  /** The parameter of the client's query that has one. */
  private get token(): string | undefined {
    return tokenParameter(this.exchange.request.query);
  }

  /** Most requests are answered at once, and never need theirs. */
  get signal(): AbortSignal {
    if (this.aborting === undefined) {
      this.aborting = new AbortController();
      this.watch();
      if (this.gone || this.exchange.aborted) this.aborting.abort(clientLeft());
    }
    return this.aborting.signal;
  }

  endless(): void {
    this.lasting = true;
    this.exchange.endless();
  }

  note(key: string, value: string | number): void {
    this.notes ??= {};
    this.notes[key] = value;
  }

  /** Asks the engine to tell when the client leaves. Not needed for a reply that is given at once. */
  watch(): void {
    if (this.watched) return;
    this.watched = true;
    this.exchange.onAborted(() => this.left());
  }

  /** Gives the answer to the engine. */
  answer(answer: Reply | Upgrade): void {
    this.spool?.release();
    if (this.exchange.aborted) {
      cancelAnswer(answer);
      this.finish(CLIENT_LEFT, 0, performance.now());
      return;
    }
    if ('handlers' in answer) {
      const headers = [...(this.route?.headers ?? []), ...this.parts.headers];
      // Its line is written when the WebSocket is over.
      const record = this.parts.requestLog?.socket(this);
      this.count(101, 0, performance.now());
      this.exchange.upgrade({ ...withUpgradeHeaders(answer, headers), record });
      return;
    }
    const cors =
      this.route === undefined ? this.parts.policies.unroutedCors : accessOf(this.route, this.request.method).cors;
    const own = this.route?.headers ?? NO_FIELDS;
    const shared = this.ready.of(answer, own, this.parts.headers, cors, this.exchange.request);
    const reply = this.token === undefined ? shared : unshared(shared);
    if (typeof reply.body === 'object' && 'start' in reply.body) {
      if (this.lasting) this.observeTime(reply.status, performance.now());
      const { reply_rate = 0, rate_window: window = 0 } = this.route?.limits ?? {};
      const rate = this.route?.handler.pacesItself === true ? 0 : reply_rate;
      const source = new MeteredBody(reply.body, { rate, window }, (sent, cut) => {
        if (cut !== undefined && this.request.method !== 'HEAD') this.cut(cut);
        this.finish(reply.status, sent, performance.now());
      });
      this.exchange.reply({ ...reply, body: source });
    } else {
      this.exchange.reply(reply);
      const length = this.request.method === 'HEAD' ? 0 : (bodyLength(reply.body) ?? 0);
      this.finish(reply.status, length, this.answeredAt());
    }
  }

  /** Answers with what went wrong: a status and an id to the client, the cause to the log. */
  fail(error: unknown): void {
    if (this.logged) {
      this.parts.log.error('an error after the response was sent', { id: this.id, error: describe(error) });
      return;
    }
    const status = error instanceof HttpError ? error.status : 500;
    if (error instanceof Busy) this.busy(error);
    else if (status >= 500)
      this.parts.log.error(error instanceof HttpError ? explain(error) : describe(error), {
        id: this.id,
        route: this.route?.key,
      });
    else if (status >= 400 && error instanceof HttpError) this.note('because', error.message);
    this.spool?.cancel();
    const own: HeaderList = error instanceof HttpError ? error.headers : [];
    const headers: HeaderList = status < 400 ? own : [...own, ['x-request-id', this.id]];
    const plain = (): Reply => {
      const told = error instanceof HttpError ? error.told : undefined;
      const page = asksForHtml(this.request.headers) ? { home: this.homeReference, told } : undefined;
      return errorReply(status, this.id, headers, page);
    };
    const page = this.route?.handler.errorPage?.(status);
    if (page === undefined) {
      this.answer(plain());
      return;
    }
    this.watch();
    page
      .then(
        (own): Reply => ({ ...own, status, headers: [...own.headers, ...headers] }),
        (trouble: unknown) => {
          const why = trouble instanceof Error ? explain(trouble) : String(trouble);
          this.parts.log.warn(`the error page for ${status} cannot be sent: ${why}`, {
            id: this.id,
            route: this.route?.key,
          });
          return plain();
        },
      )
      .then((reply) => this.answer(reply))
      .catch((trouble: unknown) => this.parts.log.error(describe(trouble), { id: this.id }));
  }

  private busy({ message, counted }: Busy): void {
    this.note('because', message);
    if (!counted) this.parts.tallies.busy.add(1, this.routeName, 'limit');
    this.parts.busyLog.refused(this.routeName, message, this.id);
  }

  /** A policy's no. */
  refuse(refusal: Refusal): void {
    this.parts.tallies.policyRefused.add(1, this.route?.key ?? NO_ROUTE, refusal.policy);
    this.fail(new HttpError(refusal.status, refusal.because, { headers: refusal.headers }));
  }

  /** The client gets no more than it has, and can tell. */
  private cut(reason: string): void {
    this.note('cut', reason);
    const route = this.route?.key ?? NO_ROUTE;
    if (reason !== LEFT) this.parts.tallies.dropped.add(1, route, reason === TOO_SLOW ? 'slow_reply' : 'cut');
    if (reason !== LEFT && this.parts.requestLog === undefined)
      this.parts.log.warn(`a response was cut off: ${reason}`, { id: this.id, route });
  }

  private left(): void {
    if (this.gone) return;
    this.gone = true;
    // A handler that has the body may be about to hand its file on: then it is closed with the answer.
    if (this.body === NO_BODY) this.spool?.cancel();
    this.aborting?.abort(clientLeft());
    this.parts.tallies.aborted.add(1, this.route?.key ?? NO_ROUTE);
  }

  /** Now; what is answered within the engine's callback takes no time, and is most of all: then the clock is not read again. */
  private answeredAt(): number {
    return this.watched || this.parts.requestLog !== undefined ? performance.now() : this.started;
  }

  /** @param now milliseconds of `performance.now()` */
  private finish(status: number, sent: number, now: number): void {
    if (this.logged) return;
    this.count(status, sent, now);
    this.parts.requestLog?.over(this, status, this.receivedBytes, sent, now);
  }

  private get receivedBytes(): number {
    return this.live?.length ?? this.body?.length ?? 0;
  }

  private count(status: number, sent: number, now: number): void {
    this.logged = true;
    const { tallies } = this.parts;
    const route = this.routeName;
    tallies.requests.add(1, route, methodLabel(this.request.method), String(status));
    const received = this.receivedBytes;
    if (received > 0) tallies.bodyBytes.add(received, route, 'in');
    if (sent > 0) tallies.bodyBytes.add(sent, route, 'out');
    if (this.tellsTime(status)) this.observeTime(status, now);
  }

  /** Not of an answer that lasted until its client left, nor of one to a body that was taken as it came: the client decides how long those are. */
  private tellsTime(status: number): boolean {
    if (this.live?.taken === true) return false;
    return !this.lasting || status === 101 || (status >= 300 && status !== CLIENT_LEFT);
  }

  private observeTime(status: number, now: number): void {
    const { requestTimes } = this.parts.tallies;
    requestTimes.series(this.routeName, statusClass(status)).observe((now - this.started) / 1000);
  }
}

/** A path of more folders than this gets no link to the start page, which would be as long as the path. */
const MAX_FOLDERS = 64;

function clientLeft(): HttpError {
  return new HttpError(CLIENT_LEFT, 'the client left');
}

/** An error and its causes, in one line: for the log only. */
function explain(error: Error): string {
  const { message, cause } = error;
  // An error may have been made again with a status, in the same words.
  return cause instanceof Error && cause.message !== message ? `${message}: ${explain(cause)}` : message;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
