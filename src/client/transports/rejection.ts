/** An answer that is no stream, as an error. */
import type { IncomingMessage } from 'node:http';
import { ConnectionError } from '../errors.ts';

export function rejection(server: string, response: IncomingMessage): ConnectionError {
  const { statusCode: status = 0, statusMessage = '', headers } = response;
  const where = status >= 300 && status < 400 ? headers.location : undefined;
  const message = `${server} answered ${`${status} ${statusMessage}`.trim()}${where === undefined ? '' : `: it wants ${where} to be asked`}`;
  return new ConnectionError('rejected', message, { status });
}
