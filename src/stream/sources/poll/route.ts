/**
 * A poll's target that is another route of this gateway, most often a CGI program: its handler is asked as the pipeline would ask it,
 * without a connection in between. Policies of that route are not asked: those of the stream have let its viewers in.
 */
import type { HeaderList, Request } from '../../../engine/engine.ts';
import { HttpError } from '../../../http/errors.ts';
import {
  type Answer,
  type Call,
  cancelAnswer,
  type FolderRedirect,
  type Handler,
  type LocalRedirect,
} from '../../../http/handler.ts';
import { BodyTooLarge, collectReply } from '../../../http/reply-bodies.ts';
import { untilAborted } from '../../../ownership/until-aborted.ts';
import { type CanonicalPath, canonicalPath, type PathBelow } from '../../../routing/canonical-path.ts';
import type { FindRoute } from '../kind.ts';
import { type PollAnswer, PollFailure, type PollRequest, type PollTarget, tooLarge } from './target.ts';

export interface PollRouteParts {
  readonly find: FindRoute;
  /** The stream's host; "" where it has none. */
  readonly host: string;
  /** As configured, without a query. */
  readonly path: string;
  /** Names what is asked in logs. */
  readonly id: string;
  /** Milliseconds that one answer may take. */
  readonly patience: number;
  /** The user of this channel, where each user has an answer of his own. */
  readonly user: Call['user'];
  /** What every request has: credentials, where viewers share them. */
  readonly headers: HeaderList;
}

/** How often one request may be redirected locally (RFC 3875 section 6.2.2). */
const MAX_LOCAL_REDIRECTS = 10;

export function pollRoute(parts: PollRouteParts): PollTarget {
  return { ask: (request) => askRoute(parts, request), close: () => undefined };
}

async function askRoute(parts: PollRouteParts, asked: PollRequest): Promise<PollAnswer> {
  let { path } = parts;
  let { method, query, body } = asked;
  let own: HeaderList = asked.headers;
  let first: Handler | undefined;
  for (let redirects = 0; redirects <= MAX_LOCAL_REDIRECTS; redirects++) {
    const canonical = canonicalPath(path);
    const match = canonical === undefined ? undefined : parts.find(parts.host, canonical);
    if (match === undefined || match.needsSlash) throw new PollFailure('it does not exist (404)', { detail: path });
    const { handler, auth } = match.value;
    first ??= handler;
    // Whose stream it is has chosen the first one. Where a program leads may be up to a viewer's query, and a detour opens nothing.
    if (handler !== first && auth.on)
      throw new PollFailure('it redirects to a route that needs a password or token', { detail: path });
    if (handler.kind === 'stream') throw new PollFailure('it is a stream itself', { detail: path });
    if (handler.methods?.includes(method) === false)
      throw new PollFailure(`it does not accept ${method} (405)`, { status: 405, detail: path });
    const call = new OwnCall(parts, requestOf(parts, path, { ...asked, method, query, body, headers: own }), {
      path: match.path,
      rest: match.rest,
      body,
      redirects,
    });
    const answer = await askHandler(handler, call, asked);
    if ('toFolder' in answer) throw new PollFailure('it is a folder (301)', { detail: `${path}/` });
    if (!('localRedirect' in answer)) return answer;
    // From here on it is a GET without a body.
    const at = answer.localRedirect.indexOf('?');
    path = at < 0 ? answer.localRedirect : answer.localRedirect.slice(0, at);
    query = at < 0 ? '' : answer.localRedirect.slice(at + 1);
    [method, body, own] = ['GET', undefined, own.filter(([name]) => name !== 'content-type')];
  }
  throw new PollFailure('it redirects in a loop', { detail: path });
}

async function askHandler(
  handler: Handler,
  call: OwnCall,
  { signal, maxBytes }: PollRequest,
): Promise<PollAnswer | LocalRedirect | FolderRedirect> {
  signal.throwIfAborted();
  const gone = (): void => call.abort();
  signal.addEventListener('abort', gone);
  try {
    const answer = await untilAborted(held(started(handler, call), signal), signal);
    if ('localRedirect' in answer || 'toFolder' in answer) return answer;
    if ('handlers' in answer) {
      answer.cancel();
      throw new PollFailure('it is a WebSocket, not a page');
    }
    const { status, headers } = answer;
    return { status, headers, body: await collectReply(answer, maxBytes, signal) };
  } catch (error) {
    throw signal.aborted ? signal.reason : failureOf(error, maxBytes);
  } finally {
    signal.removeEventListener('abort', gone);
  }
}

async function started(handler: Handler, call: Call): Promise<Answer> {
  return await handler.handle(call);
}

/** An answer that comes when nobody waits any more still holds a file or a program. */
async function held(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  const late = await answer;
  if (signal.aborted) cancelAnswer(late);
  return late;
}

function failureOf(error: unknown, maxBytes: number): unknown {
  if (error instanceof PollFailure) return error;
  if (error instanceof BodyTooLarge) return tooLarge(error.size, maxBytes);
  if (error instanceof HttpError) {
    const { status, headers, message: detail } = error;
    return new PollFailure(`it failed (${status})`, { status, headers, detail });
  }
  return new PollFailure('its response was cut off', {
    detail: error instanceof Error ? error.message : String(error),
  });
}

function requestOf(parts: PollRouteParts, path: string, asked: PollRequest): Request {
  const headers: [string, string][] = [['host', parts.host === '' ? 'localhost' : parts.host]];
  headers.push(['accept', '*/*']);
  for (const [name, value] of [...parts.headers, ...asked.headers]) headers.push([name, value]);
  if (asked.body !== undefined) headers.push(['content-length', String(asked.body.length)]);
  return {
    method: asked.method,
    path,
    query: asked.query === '' ? undefined : asked.query,
    version: '1.1',
    headers,
    // Nobody's: an address of this machine could be taken for the right to do anything.
    remoteAddress: '',
    remotePort: undefined,
    listener: { name: '', secure: false, port: undefined },
  };
}

/** A request that no client has made. */
class OwnCall implements Call {
  readonly id: string;
  readonly handshake = undefined;
  readonly body: Call['body'];
  readonly path: CanonicalPath;
  readonly rest: PathBelow;
  readonly host: string;
  readonly redirects: number;
  readonly patience: number;
  readonly user: Call['user'];
  private readonly aborting = new AbortController();
  readonly signal = this.aborting.signal;

  constructor(
    parts: PollRouteParts,
    readonly request: Request,
    of: Pick<Call, 'path' | 'rest' | 'redirects'> & { readonly body: Buffer | undefined },
  ) {
    const bytes = of.body ?? Buffer.alloc(0);
    this.id = parts.id;
    this.host = parts.host;
    this.patience = parts.patience;
    this.user = parts.user;
    this.path = of.path;
    this.rest = of.rest;
    this.redirects = of.redirects;
    this.body = { length: bytes.length, bytes, descriptor: undefined };
  }

  endless(): void {}

  note(): void {}

  abort(): void {
    this.aborting.abort(new HttpError(499, 'no client waits for the response any more'));
  }
}
