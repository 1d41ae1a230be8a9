/** Which replies are worth compressing, and what their header says then (RFC 9110 sections 8.4, 8.8.3 and 12.5.5). Pure. */
import { type HeaderList, headerValue, type Reply } from '../../../engine/engine.ts';
import { bodyLength } from '../../../engine/replies.ts';

/** Shorter bodies become hardly shorter, bytes. With the fields of the header they fit into one packet in any case. */
export const LEAST = 1024;

/** Text, and what is written as text. An event stream is left out: each event would be held by whoever decompresses it in between. */
const TEXT =
  /^(?:text\/(?!event-stream)[^;]*|application\/(?:json|javascript|x-javascript|ecmascript|xml|yaml|toml|x-ndjson|graphql|rtf|sql)|[^;/]+\/[^;]*\+(?:json|xml|yaml))\s*(?:;|$)/i;

/** What is said of the very bytes that are sent: they must stay those. */
const OF_THE_BYTES: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-range',
  'content-md5',
  'content-digest',
  'repr-digest',
  'digest',
  'signature',
]);

/** Whether the client may get it compressed or not, as it likes: so a cache has to ask. */
export function isCompressible({ status, headers, body, opening }: Reply): boolean {
  if (status < 200 || status === 204 || status === 205 || status === 206 || status === 304) return false;
  if (body === undefined || (opening?.length ?? 0) > 0) return false;
  const length = bodyLength(body);
  if (length !== undefined && length < LEAST) return false;
  if (!TEXT.test(headerValue(headers, 'content-type') ?? '')) return false;
  for (const [name, value] of headers) {
    if (OF_THE_BYTES.has(name)) return false;
    if (name === 'cache-control' && /(?:^|[\s,])no-transform(?:$|[\s,])/i.test(value)) return false;
  }
  return true;
}

/** The fields of the same reply as a client gets it that takes it as it is. */
export function variedFields(headers: HeaderList): HeaderList {
  const varies = headers.some(
    ([name, value]) => name === 'vary' && /(?:^|[\s,])(?:accept-encoding|\*)(?:$|[\s,])/i.test(value),
  );
  return varies ? headers : [...headers, ['vary', 'Accept-Encoding']];
}

/**
 * The fields of the compressed reply. A strong tag becomes a weak one: the bytes are others, the document is the same, so that If-None-Match
 * still finds it and If-Range does not. Parts of it are not to be had.
 */
export function compressedFields(headers: HeaderList): HeaderList {
  const own = headers.flatMap(([name, value]): HeaderList => {
    if (name === 'accept-ranges') return [];
    return [[name, name === 'etag' && value.startsWith('"') ? `W/${value}` : value]];
  });
  return variedFields([...own, ['content-encoding', 'gzip']]);
}
