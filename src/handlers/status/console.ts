/**
 * The console: a stream as each of its transports gives it, reached through the operator's page. The stream's own route says who may use
 * it, here as at its own address: what the operator has shown to get here must be enough there.
 */
import { HttpError, Superseded } from '../../http/errors.ts';
import type { Answer, Call } from '../../http/handler.ts';
import type { Route } from '../../http/route.ts';
import { canonicalPath } from '../../routing/canonical-path.ts';
import type { Match, Router } from '../../routing/router.ts';

const STREAM = 'stream';

/** Serves a call to the console: `?to=PATH` is the stream's path with its query, `host=` its host. The rest of the query is the stream's. */
export async function answerConsole(call: Call, find: Router<Route>['find']): Promise<Answer> {
  const { match, query } = streamOf(call, find);
  const { handler, auth } = match.value;
  if (handler.methods?.includes(call.request.method) === false)
    throw new HttpError(405, 'this stream takes no messages', { headers: [['allow', handler.methods.join(', ')]] });
  const request = { ...call.request, path: match.path, query: query === '' ? undefined : query };
  const decision = await auth.decide(request);
  if (decision.refusal !== undefined)
    // Not with a challenge, which a browser would take for one of this page.
    throw new HttpError(403, 'this stream has its own users, and you are not one of them; open it at its own address');
  try {
    return await handler.handle(new ConsoleCall(call, match, auth.withoutProofs(request), decision.user ?? call.user));
  } catch (error) {
    // Whose place another configuration has taken: not to be looked for among the routes by this path.
    if (error instanceof Superseded) throw new HttpError(503, error.message, { headers: [['retry-after', '1']] });
    throw error;
  }
}

function streamOf(call: Call, find: Router<Route>['find']): { match: Match<Route>; query: string } {
  const own = new URLSearchParams(call.request.query ?? '');
  const [path = '', asked] = split(own.get('to') ?? '');
  const host = own.get('host') ?? '';
  own.delete('to');
  own.delete('host');
  const canonical = canonicalPath(path);
  if (canonical === undefined) throw new HttpError(400, 'to= is not a path');
  const match = find(host, canonical, call.handshake !== undefined);
  if (match === undefined || match.needsSlash || match.value.handler.kind !== STREAM)
    throw new HttpError(404, 'there is no stream at this path');
  const rest = own.toString();
  return { match, query: [asked, rest].filter((part) => part !== undefined && part !== '').join('&') };
}

function split(target: string): readonly [string, string?] {
  const at = target.indexOf('?');
  return at < 0 ? [target] : [target.slice(0, at), target.slice(at + 1)];
}

/** The call, as the stream's route would have got it. */
class ConsoleCall implements Call {
  readonly id: string;
  readonly handshake: Call['handshake'];
  readonly body: Call['body'];
  readonly path: Call['path'];
  readonly rest: Call['rest'];
  readonly host: string;
  readonly redirects = 0;

  constructor(
    private readonly call: Call,
    match: Match<Route>,
    readonly request: Call['request'],
    readonly user: Call['user'],
  ) {
    this.id = call.id;
    this.handshake = call.handshake;
    this.body = call.body;
    this.path = match.path;
    this.rest = match.rest;
    this.host = call.host;
  }

  get signal(): AbortSignal {
    return this.call.signal;
  }

  endless(): void {
    this.call.endless();
  }

  note(key: string, value: string | number): void {
    this.call.note(key, value);
  }
}
