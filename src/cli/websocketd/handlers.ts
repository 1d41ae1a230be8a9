/** What websocketd answers otherwise than we do: no room is 429, and what is not for a program is a console or nothing. */
import { HttpError, Superseded } from '../../http/errors.ts';
import type { Handler } from '../../http/handler.ts';
import type { StreamPage } from '../one-line/stream-page.ts';

/** The same handler, but a client for whom there is no room gets 429 instead of 503. */
export function tooManyIs429(handler: Handler): Handler {
  const refuse = (error: unknown): never => {
    const isFull = error instanceof HttpError && error.status === 503 && !(error instanceof Superseded);
    throw isFull ? new HttpError(429, error.message, { headers: error.headers, cause: error }) : error;
  };
  // What a handler says of itself stays; its methods keep their object.
  const { kind, methods, takesBody, crossSite, takesMessages = false, pacesItself = false } = handler;
  return {
    ...{ kind, methods, takesBody, crossSite, takesMessages, pacesItself },
    handle(call) {
      try {
        const answer = handler.handle(call);
        return answer instanceof Promise ? answer.catch(refuse) : answer;
      } catch (error) {
        return refuse(error);
      }
    },
    errorPage: (status) => handler.errorPage?.(status),
    begin: () => handler.begin?.(),
    retire: (reason) => handler.retire(reason),
    close: () => handler.close(),
  };
}

/** What requests get that are not for a program, where there are no files: the console, or 404. */
export function plainRequests(console: StreamPage | undefined): Handler {
  return {
    kind: 'page',
    methods: undefined,
    takesBody: false,
    crossSite: 'open',
    handle({ request }) {
      if (console === undefined) throw new HttpError(404, 'only WebSockets are served');
      const target = request.query === undefined ? request.path : `${request.path}?${request.query}`;
      return { status: 200, headers: console.headers, body: console.html(target) };
    },
    retire: () => undefined,
    close: () => Promise.resolve(),
  };
}
