/**
 * The way of every request, top to bottom, the same for an upgrade as for a GET:
 *
 *   rate → target → host → route → preflight → method → origin → authentication → body → messages → handler → answer
 *
 * Up to the body everything is decided at once, in the engine's callback; only a password that was not seen lately takes a while,
 * and its body is held back for so long.
 */
import { type Exchange, type HeaderList, headerValue, type Upgrade } from '../engine/engine.ts';
import { type Host, parseHost } from '../net/host.ts';
import { queryValue } from '../net/query.ts';
import type { Tallies } from '../ops/tallies.ts';
import { addressKey } from '../policy/addresses.ts';
import type { AuthDecision } from '../policy/auth/auth.ts';
import { senderOf } from '../policy/messages.ts';
import { decideHost, decideOrigin, isSafe } from '../policy/origin.ts';
import type { Refusal } from '../policy/refusal.ts';
import { asFolder, type CanonicalPath, canonicalPath, ROOT_PATH, uriOf } from '../routing/canonical-path.ts';
import { RecentMatches } from '../routing/recent-matches.ts';
import type { Match } from '../routing/router.ts';
import { PipelineCall } from './call/pipeline-call.ts';
import { HttpError, NothingHere, Superseded } from './errors.ts';
import { type Answer, cancelAnswer } from './handler.ts';
import { LiveBody } from './live-body.ts';
import { redirectReply } from './reply.ts';
import type { PipelineParts, Route } from './route.ts';
import { ReadyReplies } from './sending/ready-replies.ts';
import { BodyClock, type Spool, spoolBody } from './spool.ts';
import { accessOf, decideWriting } from './writing.ts';

/** How often a request may re-enter the router by local redirects (RFC 3875 section 6.2.2 asks for a bound). */
const MAX_LOCAL_REDIRECTS = 10;

export class Pipeline {
  /** The last Host field, and the host that it names: clients of one board call it by one name, most of the time. */
  private hostField = '';
  private lastHost: Host | undefined;
  private readonly recent = new RecentMatches<Route>();
  private readonly ready = new ReadyReplies();
  private readonly bodies = new BodyClock();

  constructor(private readonly parts: PipelineParts) {}

  /** Serves one request. Never throws. Each step may answer the call; then none of those behind it happens. */
  readonly serve = (exchange: Exchange): void => {
    const call = new PipelineCall(exchange, this.parts, this.ready);
    try {
      // Counted before anything is read: whatever is answered costs, a mistake as well as a page.
      const tooMany = this.rateRefusal(call);
      // Known before that is answered: the route's own page and CORS fields belong to every answer.
      const match = this.matchRoute(call);
      if (refused(call, tooMany)) return;
      if (match instanceof HttpError) throw match;
      if ('policy' in match) {
        call.refuse(match);
        return;
      }
      if (this.answersPreflight(call, match.value)) return;
      this.enterRoute(call, match);
    } catch (error) {
      call.fail(error);
    }
  };

  /** What a route asks of every call: of one that comes here by a local redirect, or in the moment of a reload, too. */
  private enterRoute(call: PipelineCall, match: Match<Route>): void {
    this.checkMethod(match.value, call.request.method);
    if (this.refusesOrigin(call, match.value)) return;
    // Goes on with the body, the handler and the answer.
    this.authenticate(call, match);
  }

  // ---- rate ----

  /** Set where this address asks for too much in this second. */
  private rateRefusal({ request, handshake, started }: PipelineCall): Refusal | undefined {
    return this.parts.policies.rates.decide(request, handshake !== undefined, started);
  }

  // ---- target, host, route ----

  /** The route of a request as it came, or why it has none: told only after the rate has been asked. */
  private matchRoute(call: PipelineCall): Match<Route> | HttpError | Refusal {
    const { method, path: sent, headers } = call.request;
    if (method === 'CONNECT' || method === 'TRACE')
      return new HttpError(405, `${method} is never served`, { headers: [['allow', 'GET, HEAD, POST, OPTIONS']] });
    const host = this.parsedHost(headerValue(headers, 'host') ?? '');
    if (host instanceof HttpError) return host;
    const name = host?.name ?? '';
    // They may have a route of their own at this path.
    const handshake = call.handshake !== undefined;
    const known = handshake ? undefined : this.recent.of(name, sent);
    const path = known?.path ?? (sent === '*' && method === 'OPTIONS' ? ROOT_PATH : canonicalPath(sent));
    if (path === undefined)
      return new HttpError(
        400,
        'the path has an invalid escape, a control character or a backslash, or leads above "/"',
      );
    const refusal = decideHost(host, this.parts.hosts);
    if (refusal !== undefined) return refusal;
    const match = known ?? this.parts.router.find(name, path, handshake);
    if (match === undefined) return noRoute();
    if (known === undefined && !handshake && sent !== '*') this.recent.remember(name, sent, match);
    call.enter(match, name);
    return match;
  }

  /** Undefined where the request names none. */
  private parsedHost(field: string): Host | HttpError | undefined {
    if (field !== this.hostField) {
      const host = parseHost(field);
      if (host === undefined && field !== '') return new HttpError(400, 'the Host field is not a host');
      this.hostField = field;
      this.lastHost = host;
    }
    return this.lastHost;
  }

  private findRoute(host: string, path: CanonicalPath, call: PipelineCall): Match<Route> | undefined {
    const match = this.parts.router.find(host, path, call.handshake !== undefined);
    if (match !== undefined) call.enter(match, host);
    return match;
  }

  // ---- preflight, method, origin ----

  /** A browser asks whether a page of another origin may send what it wants to send: answered here, whoever serves the route. */
  private answersPreflight(call: PipelineCall, route: Route): boolean {
    const { request } = call;
    const { cors } = accessOf(route, headerValue(request.headers, 'access-control-request-method') ?? 'GET');
    if (!cors.isPreflight(request)) return false;
    if (!cors.answers(request))
      return refused(call, {
        status: 403,
        because: 'cors.origins does not list it',
        policy: 'preflight',
        headers: [],
      });
    call.answer({ status: 204, headers: cors.preflight(request), body: undefined });
    return true;
  }

  /** Throws a 405, or answers OPTIONS, where the handler does not serve the method. */
  private checkMethod(route: Route, method: string): void {
    const { methods } = route.handler;
    if (methods === undefined || methods.includes(method)) return;
    const allow: HeaderList = [['allow', [...methods, 'OPTIONS'].join(', ')]];
    throw new HttpError(method === 'OPTIONS' ? 204 : 405, `this route accepts only ${methods.join(', ')}`, {
      headers: allow,
    });
  }

  /** Whether a page of another site is behind it where none is welcome. */
  private refusesOrigin(call: PipelineCall, route: Route): boolean {
    const { cors } = accessOf(route, call.request.method);
    const rules = { cors, crossSite: route.handler.crossSite, unsafe: route.crossSite };
    return refused(call, decideOrigin(call.request, call.handshake !== undefined, rules));
  }

  // ---- authentication ----

  /** Whether whoever asks may use this route; then the call goes on. */
  private authenticate(call: PipelineCall, match: Match<Route>): void {
    const { auth } = accessOf(match.value, call.request.method);
    // A program that names another path loses the query, and a route before the proofs; but not who asks.
    const { query, headers } = call.exchange.request;
    const isWhole = call.request.query === query && call.request.headers === headers;
    const whole = isWhole ? call.request : { ...call.request, query, headers };
    let entry = auth.decide(whole);
    const { writing } = match.value;
    if (writing !== undefined && call.handshake !== undefined) entry = decideWriting(call, match.value, whole, entry);
    call.request = auth.withoutProofs(call.request);
    if (!(entry instanceof Promise)) {
      this.admit(call, match, entry, undefined);
      return;
    }
    call.watch();
    // The engine throws away what nobody takes before its callback returns, so the body is taken, and held back.
    const spool = this.wantsBody(call, match) ? this.openBody(call, match) : undefined;
    spool?.hold();
    entry
      .then((late) => {
        call.signal.throwIfAborted();
        spool?.go();
        this.admit(call, match, late, spool);
      })
      .catch((error: unknown) => call.fail(error));
  }

  /** The answer to `authenticate`. Nothing refuses the call behind it but limits on bodies and messages. */
  private admit(
    call: PipelineCall,
    match: Match<Route>,
    decision: AuthDecision,
    held: Spool | LiveBody | undefined,
  ): void {
    if (refused(call, decision.refusal)) return;
    if (decision.refusal === undefined) call.user = decision.user;
    if (match.needsSlash) this.redirectToFolder(call);
    else if (held !== undefined || this.wantsBody(call, match))
      this.receiveBody(call, match, held ?? this.openBody(call, match));
    else this.handle(call, match);
  }

  // ---- body ----

  private wantsBody(call: PipelineCall, match: Match<Route>): boolean {
    return (
      match.value.handler.takesBody &&
      (call.exchange.hasBody || this.takesLive(call, match)) &&
      call.redirects === 0 &&
      !match.needsSlash &&
      !call.received
    );
  }

  private takesLive(call: PipelineCall, { value }: Match<Route>): boolean {
    return value.handler.takesLive?.(call.request) ?? false;
  }

  /** The body, whole or as it comes. */
  private openBody(call: PipelineCall, match: Match<Route>): Spool | LiveBody {
    if (!this.takesLive(call, match)) return this.openSpool(call, match);
    const { remoteAddress } = call.request;
    call.live ??= new LiveBody(call.exchange);
    call.lasting = true;
    call.live.pace = this.parts.policies.rates.isExempt(remoteAddress)
      ? undefined
      : match.value.messages.pace(performance.now());
    return call.live;
  }

  /** Opened before the engine's callback returns, because the engine throws away what nobody takes by then. */
  private openSpool(call: PipelineCall, match: Match<Route>): Spool {
    const spool = spoolBody(call.exchange, match.value.limits, this.bodies, call.started, match.value.handler.maxBody);
    call.attach(spool);
    return spool;
  }

  /** Goes on when all of the body is here, where it is received whole. */
  private receiveBody(call: PipelineCall, match: Match<Route>, spool: Spool | LiveBody): void {
    if (spool instanceof LiveBody) {
      this.handle(call, match);
      return;
    }
    spool.whenDone((outcome) => {
      if (outcome instanceof HttpError) call.fail(outcome);
      else {
        call.body = outcome;
        this.handle(call, match);
      }
    });
  }

  // ---- messages: what limits them holds for a POST as for a WebSocket ----

  /** Whether this is a message by POST that is one too many of its client: of its session, which the stream asks for, or else of its user or address. */
  private refusesPost(call: PipelineCall, { handler, messages, key }: Route): boolean {
    const { method, remoteAddress, query } = call.request;
    if (handler.takesMessages !== true || isSafe(method) || call.live !== undefined) return false;
    if (!messages.on || this.parts.policies.rates.isExempt(remoteAddress)) return false;
    const sender = senderOf(queryValue(query, 'session'), call.user?.name, addressKey(remoteAddress));
    if (messages.allowsPost(sender, call.body?.length ?? 0, performance.now())) return false;
    tooManyMessages(this.parts.tallies, key)();
    return true;
  }

  /** The WebSocket of a client, which may send only so much. */
  private limitMessages(call: PipelineCall, { messages, key }: Route, upgrade: Upgrade): Upgrade {
    if (this.parts.policies.rates.isExempt(call.request.remoteAddress)) return upgrade;
    return { ...upgrade, handlers: messages.around(upgrade.handlers, tooManyMessages(this.parts.tallies, key)) };
  }

  // ---- handler ----

  private handle(call: PipelineCall, match: Match<Route>): void {
    try {
      if (this.refusesPost(call, match.value))
        throw new HttpError(429, 'too many messages', { headers: [['retry-after', '1']] });
      const answer = match.value.handler.handle(call);
      if (answer instanceof Promise) {
        call.watch();
        answer.then(
          (late) => this.answer(call, match.value, late),
          (error: unknown) => this.failed(call, match, error),
        );
      } else this.answer(call, match.value, answer);
    } catch (error) {
      this.failed(call, match, error);
    }
  }

  // ---- answer ----

  /**
   * Whoever arrives in the moment of a reload is served by what is in force now, as if it had come a moment later; what a route has nothing
   * for, by the next one.
   */
  private failed(call: PipelineCall, match: Match<Route>, error: unknown): void {
    const next = this.nextRoute(call, match, error);
    if (next === undefined || next.value.handler === match.value.handler) {
      call.fail(error);
      return;
    }
    try {
      call.enter(next, call.host);
      this.enterRoute(call, next);
    } catch (wrong) {
      call.fail(wrong);
    }
  }

  private nextRoute(call: PipelineCall, { value }: Match<Route>, error: unknown): Match<Route> | undefined {
    const handshake = call.handshake !== undefined;
    if (error instanceof Superseded) return this.parts.latest().find(call.host, call.path, handshake);
    return error instanceof NothingHere ? this.parts.router.find(call.host, call.path, handshake, value) : undefined;
  }

  private answer(call: PipelineCall, route: Route, answer: Answer): void {
    try {
      if ('localRedirect' in answer) this.redirectLocally(call, answer.localRedirect);
      else if ('toFolder' in answer) this.redirectToFolder(call);
      else call.answer('handlers' in answer ? this.limitMessages(call, route, answer) : answer);
    } catch (error) {
      cancelAnswer(answer);
      call.fail(error);
    }
  }

  /** The client asks again, so it is told its query as it wrote it, with a token that was in it. */
  private redirectToFolder(call: PipelineCall): void {
    call.answer(redirectReply(call.folderReference(uriOf(asFolder(call.path), call.ownQuery))));
  }

  /** The program names another local path: serve that, as a GET without a body (RFC 3875 section 6.2.2). */
  private redirectLocally(call: PipelineCall, target: string): void {
    if (call.redirects >= MAX_LOCAL_REDIRECTS) {
      throw new HttpError(500, `more than ${MAX_LOCAL_REDIRECTS} local redirects in a row, the last to ${target}`);
    }
    const [rawPath = '', query] = splitTarget(target);
    const path = canonicalPath(rawPath);
    if (path === undefined) throw new HttpError(502, `the program redirected to ${target}, which is not a path`);
    call.redirect(rawPath, query);
    const match = this.findRoute(call.host, path, call);
    if (match === undefined) throw noRoute();
    // Another route, with rules of its own: what may not be asked for directly may not be had by a detour.
    this.enterRoute(call, match);
  }
}

/** A function of its own, because it lives as long as the WebSocket: what it is made from must not include the request. */
function tooManyMessages(tallies: Tallies, route: string): () => void {
  return () => tallies.dropped.add(1, route, 'too_many_messages');
}

function noRoute(): HttpError {
  return new HttpError(404, 'no route for this path');
}

function refused(call: PipelineCall, refusal: Refusal | undefined): boolean {
  if (refusal === undefined) return false;
  call.refuse(refusal);
  return true;
}

function splitTarget(target: string): [string, string | undefined] {
  const at = target.indexOf('?');
  return at < 0 ? [target, undefined] : [target.slice(0, at), target.slice(at + 1)];
}
