/** A request's body in memory, for whoever needs it as one message. */
import { read } from 'node:fs';
import { promisify } from 'node:util';
import { HttpError } from './errors.ts';
import type { Body } from './handler.ts';

const readAt = promisify(read);

/** @param max bytes; rejects with a 413 above */
export async function bodyBytes(body: Body | undefined, max: number): Promise<Buffer> {
  if (body === undefined || body.length === 0) return Buffer.alloc(0);
  if (body.length > max) throw new HttpError(413, `the message has ${body.length} bytes, max_message is ${max}`);
  if (body.bytes !== undefined) return body.bytes;
  if (body.descriptor === undefined) throw new TypeError('a body that is neither in memory nor in a file');
  const bytes = Buffer.alloc(body.length);
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await readAt(body.descriptor, bytes, at, bytes.length - at, at);
    if (bytesRead === 0) throw new HttpError(500, 'the stored body is shorter than the body that arrived');
    at += bytesRead;
  }
  return bytes;
}
