/**
 * The operator's pages below one path: "" is the page, `status.json` the same as data, `status/live` as a stream; with `actions`,
 * `status/act` does something and `status/console` tries a stream.
 */
import { headerValue } from '../../engine/engine.ts';
import { HttpError } from '../../http/errors.ts';
import type { Answer, Call, Handler } from '../../http/handler.ts';
import type { Route } from '../../http/route.ts';
import type { StatusOptions, StatusPages } from '../../http/route-kind.ts';
import { bodyBytes } from '../../http/spool.ts';
import { parseHost } from '../../net/host.ts';
import { HostPatterns } from '../../net/host-patterns.ts';
import type { Assets } from '../../ops/assets.ts';
import type { Log } from '../../ops/log.ts';
import type { Operator } from '../../ops/status.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { visibleJson } from '../../ops/visible.ts';
import type { Router } from '../../routing/router.ts';
import type { Stream } from '../../stream/stream.ts';
import { MAX_ACTION, parseAction } from './actions.ts';
import { answerConsole } from './console.ts';
import { liveStatus } from './live.ts';
import { type StatusPage, statusPage } from './page.ts';

const JSON_FIELDS = [
  ['content-type', 'application/json'],
  ['cache-control', 'no-store'],
  // What a stream or a program has said stands in it.
  ['x-content-type-options', 'nosniff'],
] as const;
/** How their stream is called in counts and in the log. */
const NAME = 'status';

export interface StatusPagesParts {
  readonly operator: Operator;
  readonly assets: Assets;
  readonly log: Log;
  readonly tallies: Tallies;
  /** The routes that are in force. */
  readonly find: Router<Route>['find'];
}

export function statusPages(parts: StatusPagesParts): StatusPages {
  let page: StatusPage | undefined;
  return {
    handler: (options) =>
      new StatusHandler(parts, options, () => {
        page ??= statusPage(parts.assets);
        return page;
      }),
  };
}

class StatusHandler implements Handler {
  readonly kind = NAME;
  readonly methods = ['GET', 'HEAD', 'POST'] as const;
  readonly takesBody = true;
  readonly crossSite = 'same-origin';
  readonly pacesItself = true;
  private readonly hosts: HostPatterns | undefined;
  private readonly live: Stream;

  constructor(
    private readonly parts: StatusPagesParts,
    private readonly options: StatusOptions,
    private readonly page: () => StatusPage,
  ) {
    this.hosts = options.hosts === undefined ? undefined : new HostPatterns(options.hosts);
    this.live = liveStatus(NAME, parts);
  }

  handle(call: Call): Answer | Promise<Answer> {
    this.checkHost(call);
    const { method } = call.request;
    const { rest } = call;
    if (rest === 'status/act') return this.act(call);
    if (rest === 'status/console') return this.tryStream(call);
    if (method === 'POST') throw new HttpError(405, 'only for reading', { headers: [['allow', 'GET, HEAD']] });
    if (rest === '') return { status: 200, headers: this.page().headers, body: this.page().html };
    if (rest === 'status/live') return this.live.handle(call);
    if (rest !== 'status.json') throw new HttpError(404, 'the status page has no page of this name');
    const body = visibleJson({ ...this.parts.operator.status(), actions: this.options.actions });
    return { status: 200, headers: JSON_FIELDS, body };
  }

  retire(reason: string): void {
    this.live.retire(reason);
  }

  close(): Promise<void> {
    return this.live.close();
  }

  /** A page of elsewhere whose name points to this machine (DNS rebinding) reads nothing. */
  private checkHost({ request }: Call): void {
    if (this.hosts === undefined) return;
    const host = parseHost(headerValue(request.headers, 'host') ?? '');
    if (host !== undefined && !this.hosts.admits(host))
      throw new HttpError(421, `the status is not served for the host ${host.name}; list it in "hosts"`);
  }

  private async act(call: Call): Promise<Answer> {
    this.checkActions();
    const { method, headers, remoteAddress } = call.request;
    if (method !== 'POST') throw new HttpError(405, 'an action is a POST', { headers: [['allow', 'POST']] });
    const body = await bodyBytes(call.body, MAX_ACTION);
    const action = parseAction(body, headerValue(headers, 'content-type'));
    const result = await this.parts.operator.act(action, call.user?.name ?? remoteAddress);
    const status = result.ok ? 200 : 409;
    return { status, headers: JSON_FIELDS, body: visibleJson(result) };
  }

  private tryStream(call: Call): Promise<Answer> {
    this.checkActions();
    return answerConsole(call, this.parts.find);
  }

  private checkActions(): void {
    if (!this.options.actions) throw new HttpError(403, 'actions are switched off: set actions = true');
  }
}
