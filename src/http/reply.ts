/** The few replies that the gateway makes by itself. */

import type { HeaderList, Reply, Upgrade } from '../engine/engine.ts';
import { REASONS } from '../engine/reasons.ts';
import { escapeHtml, PAGE_END, PAGE_HEADERS, pageStart } from './page.ts';

const NO_STORE = ['cache-control', 'no-store'] as const;

export function textReply(status: number, text: string, headers: HeaderList = []): Reply {
  return { status, headers: [['content-type', 'text/plain; charset=utf-8'], NO_STORE, ...headers], body: text };
}

/** What a status means to somebody who only wanted to see a page. */
const SENTENCES: ReadonlyMap<number, string> = new Map([
  [400, 'The address or the request is malformed.'],
  [401, 'You must sign in to open this page.'],
  [403, 'You are not allowed to open this page.'],
  [404, 'There is nothing at this address.'],
  [405, 'This address does not accept this kind of request.'],
  [408, 'The request took too long to arrive.'],
  [412, 'The page has changed since you loaded it.'],
  [413, 'The upload is too large for this address.'],
  [416, 'The requested part is beyond the end of the file.'],
  [421, 'This gateway does not serve the host name in the address.'],
  [426, 'This address is a live stream, not a page.'],
  [429, 'Too many requests. Wait a moment, then try again.'],
  [500, 'Something went wrong on the server.'],
  [502, 'The program behind this page failed, or its response is not valid.'],
  [503, 'The server is busy. Try again in a moment.'],
  [504, 'The program behind this page did not respond in time.'],
  [507, 'The server has no space left to store the upload.'],
]);

/** Those of which a client that wants no page is told so, too: it has to ask otherwise. */
const TOLD_IN_TEXT: ReadonlySet<number> = new Set([421]);

/** What the page of an error has beside its status. */
export interface ErrorPage {
  /** Where its link to the start page leads; undefined: nowhere. */
  readonly home: string | undefined;
  /** A sentence in the place of the status' own. */
  readonly told?: string | undefined;
}

/** After these the same request may go well a moment later. */
const PASSING: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/**
 * What a client is told of an error: the status, and the id under which the log has the cause. `page`: as a page for people, else as text.
 * This is the one writer of error answers above the engines.
 */
export function errorReply(status: number, id: string, headers: HeaderList, page: ErrorPage | undefined): Reply {
  if (status < 400) return { status, headers, body: undefined };
  const title = `${status} ${REASONS[status] ?? 'Error'}`;
  const sentence =
    page?.told ??
    SENTENCES.get(status) ??
    (status < 500 ? 'The request failed.' : 'Something went wrong on the server.');
  if (page === undefined) {
    const told = TOLD_IN_TEXT.has(status) ? `${sentence}\n\n` : '';
    return textReply(status, `${title}\n\n${told}id ${id}\n`, headers);
  }
  const links = [
    ...(PASSING.has(status) ? ['<a href="">Try again</a>'] : []),
    ...(page.home === undefined ? [] : [`<a href="${escapeHtml(page.home)}">Start page</a>`]),
  ];
  const body = `${pageStart(title)}<div class="error">
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(sentence)}</p>
${links.length === 0 ? '' : `<p>${links.join(' · ')}</p>\n`}<p class="quiet">Details are in the log of the server: id <code>${escapeHtml(id)}</code></p>
</div>
${PAGE_END}`;
  return { status, headers: [...PAGE_HEADERS, NO_STORE, ...headers], body };
}

/** A permanent redirect to a path of ours. `reference` must be made of a canonical one, so that it cannot be read as `//other.host`. */
export function redirectReply(reference: string): Reply {
  return textReply(301, `moved to ${reference}\n`, [['location', reference]]);
}

/** A reply with those of `extra` that it has not set itself. */
export function withHeaders(reply: Reply, extra: HeaderList): Reply {
  if (extra.length === 0) return reply;
  const missing = extra.filter(([name]) => !reply.headers.some(([own]) => own === name));
  return { ...reply, headers: [...reply.headers, ...missing] };
}

/**
 * What a page with a token in its address says to those whom it asks for more, and where its links lead to: not the address. ("no-referrer"
 * would make its own forms come from "null".)
 */
const ONLY_ORIGIN = [['referrer-policy', 'strict-origin']] as const;

/** A reply to a request with a token in its address, which is for nobody else (RFC 6750 sections 2.3 and 5.3). */
export function unshared(reply: Reply): Reply {
  return withHeaders(uncached(reply), ONLY_ORIGIN);
}

/** No cache may keep it for others: private, and where it says nothing about caches not kept at all. */
function uncached(reply: Reply): Reply {
  const others = reply.headers.filter(([name]) => name !== 'cache-control');
  const said = reply.headers
    .flatMap(([name, value]) => (name === 'cache-control' ? value.split(',') : []))
    .map((directive) => directive.trim())
    .filter((directive) => directive !== '');
  if (said.some((directive) => /^(?:private|no-store)$/i.test(directive))) return reply;
  const kept = said.filter((directive) => !/^(?:public|s-maxage=.*)$/i.test(directive));
  const value = said.length === 0 ? NO_STORE[1] : ['private', ...kept].join(', ');
  return { ...reply, headers: [...others, ['cache-control', value]] };
}

/** What describes a document, and what belongs to the handshake itself: a 101 has none of the first and its own of the second. */
const NOT_ON_UPGRADE = /^(content-(?!security-policy)|sec-websocket-|(last-modified|etag|accept-ranges|date)$)/;

/** The same for a switch to WebSocket. */
export function withUpgradeHeaders(upgrade: Upgrade, extra: HeaderList): Upgrade {
  if (extra.length === 0) return upgrade;
  const known = new Set(upgrade.headers.map(([name]) => name));
  const headers = [...upgrade.headers];
  for (const [name, value] of extra) {
    if (known.has(name) || NOT_ON_UPGRADE.test(name)) continue;
    known.add(name);
    headers.push([name, value]);
  }
  return { ...upgrade, headers };
}
