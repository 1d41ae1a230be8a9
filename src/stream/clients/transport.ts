/** How a client wants a stream, by what its request asks. Pure. */
import { type HeaderList, headerValue, type Request } from '../../engine/engine.ts';
import { queryValue } from '../../net/query.ts';

export type Transport = 'websocket' | 'events' | 'long-poll' | 'lookup' | 'last' | 'parts' | 'post' | 'plain';

/** @param handshake whether the request asks for an upgrade to WebSocket */
export function transportOf(
  method: string,
  query: string | undefined,
  headers: HeaderList,
  handshake: boolean,
): Transport {
  if (handshake) return 'websocket';
  if (method === 'POST' || method === 'PUT') return 'post';
  const named = queryValue(query, 'transport');
  if (named === 'poll') return 'long-poll';
  if (named === 'history') return 'lookup';
  if (named === 'last' || named === 'parts') return named;
  if (/(^|[\s,])text\/event-stream\b/i.test(headerValue(headers, 'accept') ?? '')) return 'events';
  return wantsPicture(headers) ? 'parts' : 'plain';
}

/** Whether the response is for an `<img>`, as browsers say it: pictures come first of what they accept. */
export function wantsPicture(headers: HeaderList): boolean {
  return (
    headerValue(headers, 'sec-fetch-dest') === 'image' || /^\s*image\//i.test(headerValue(headers, 'accept') ?? '')
  );
}

/** Where libraries put the last id that cannot set the header field, because a page's own EventSource cannot either. */
const LAST_ID_PARAMETERS = ['lastEventId', 'last-event-id', 'Last-Event-ID', 'evs_last_event_id'] as const;

/** The id of the last event that an event stream's client has (HTML standard, section 9.2.4); undefined where it names none. */
export function lastEventId({ query, headers }: Pick<Request, 'query' | 'headers'>): string | undefined {
  const shown = [headerValue(headers, 'last-event-id'), ...LAST_ID_PARAMETERS.map((name) => queryValue(query, name))];
  return shown.find((id) => id !== undefined && id !== '');
}

/** The names that the gateway reads out of a stream's query; the rest is the stream's own. */
const OURS: ReadonlySet<string> = new Set([
  ...['after', 'transport', 'cursor', 'client', 'session'],
  ...LAST_ID_PARAMETERS,
]);

/** Of a lookup alone: a stream's own query may well have a parameter of this name. */
const LIMIT = 'limit';

/** The query without what is ours: what tells streams with `share = "query"` apart, and what a program sees. */
export function streamQuery(query: string | undefined): string {
  if (query === undefined || query === '') return '';
  const isLookup = query.includes('transport=history') && queryValue(query, 'transport') === 'history';
  return query
    .split('&')
    .filter((part) => {
      const name = decodedName(part);
      return !OURS.has(name) && !(isLookup && name === LIMIT);
    })
    .join('&');
}

function decodedName(part: string): string {
  const [name = ''] = part.split('=', 1);
  // The form's decoder is much work for a part that needs none.
  if (!/[%+]/.test(name)) return name;
  return new URLSearchParams(`${name}=`).keys().next().value ?? '';
}
