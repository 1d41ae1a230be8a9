/** The few replies that the gateway makes by itself. */

import type { HeaderList, Reply } from '../engine/engine.ts';
import { REASONS } from '../engine/reasons.ts';

export function textReply(status: number, text: string, headers: HeaderList = []): Reply {
  return {
    status,
    headers: [['content-type', 'text/plain; charset=utf-8'], ['cache-control', 'no-store'], ...headers],
    body: text,
  };
}

/** What a client is told of an error: the status, and the id under which the log has the cause. */
export function errorReply(status: number, id: string, headers: HeaderList): Reply {
  if (status < 400) return { status, headers, body: undefined };
  return textReply(status, `${status} ${REASONS[status] ?? 'Error'}\n\nid ${id}\n`, headers);
}

/** A permanent redirect to a path of ours. `path` must be canonical, so that it cannot be read as `//other.host`. */
export function redirectReply(path: string): Reply {
  return textReply(301, `moved to ${path}\n`, [['location', path]]);
}

/** A reply with those of `extra` that it has not set itself. */
export function withHeaders(reply: Reply, extra: HeaderList): Reply {
  if (extra.length === 0) return reply;
  const missing = extra.filter(([name]) => !reply.headers.some(([own]) => own === name));
  return { ...reply, headers: [...reply.headers, ...missing] };
}
