/** The head of a reply as HTTP/2 has it. */
import type { ServerHttp2Stream } from 'node:http2';
import type { HeaderList, Reply } from '../../engine.ts';
import { bodyLength, isBodiless } from '../../replies.ts';

/** RFC 9113 section 7. */
export const NO_ERROR = 0;

type Fields = { [name: string]: number | string | string[] };

/** A 205 has no body either, which Node insists on here (RFC 9110 section 15.3.6). */
export function isBodilessHere(method: string, status: number): boolean {
  return isBodiless(method, status) || status === 205;
}

/** What Node is to send as the reply's head. It adds `date`. */
export function replyFields(reply: Reply, bodiless: boolean): Fields {
  const fields = fieldsOf(reply.status, reply.headers);
  const { status, body } = reply;
  const length = body === undefined && !bodiless ? 0 : bodyLength(body);
  if (length !== undefined && status !== 204 && status !== 205 && status !== 304) fields['content-length'] = length;
  return fields;
}

/** There is no Connection in HTTP/2 and nothing to upgrade to (RFC 9113 section 8.2.2): a 426 goes without naming it. */
export function fieldsOf(status: number, headers: HeaderList): Fields {
  const fields: Fields = Object.create(null);
  fields[':status'] = status;
  for (const [name, value] of headers) {
    if (name === 'date' || name === 'upgrade') continue;
    const before = fields[name];
    if (before === undefined) fields[name] = value;
    else fields[name] = Array.isArray(before) ? [...before, value] : [String(before), value];
  }
  return fields;
}

/** Sends a head. Fields that there can only be one of are not repeated, as Node will have it: the first counts. */
export function respond(stream: ServerHttp2Stream, fields: Fields, options: { endStream?: boolean } = {}): void {
  try {
    stream.respond(fields, options);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_HTTP2_HEADER_SINGLE_VALUE')) throw error;
    const single = Object.entries(fields).map(([name, value]) => [
      name,
      Array.isArray(value) && name !== 'set-cookie' ? value[0] : value,
    ]);
    stream.respond(Object.fromEntries(single), options);
  }
}

/** Whether a stream that is closed took its whole answer with it. Where both sides end at once Node has not told yet that it is finished. */
export function isComplete(stream: ServerHttp2Stream): boolean {
  if (!stream.headersSent || stream.aborted || !stream.writableEnded) return false;
  return stream.writableFinished || stream.rstCode === NO_ERROR;
}
