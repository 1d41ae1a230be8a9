/** The real gateway with one CGI route at /cgi-bin/ whose program does what the request says: test/support/modes.cgi. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { EngineName } from '../../src/engine/engine.ts';
import { type Running, startGateway } from './gateway.ts';
import { type RawReply, rawRequest } from './raw.ts';

export const MODES = readFileSync(join(import.meta.dirname, '../../../test/support/modes.cgi'));

export interface CgiRequest {
  readonly method?: string;
  /** Below /cgi-bin/. */
  readonly path?: string;
  /** Whole lines. */
  readonly headers?: readonly string[];
  readonly body?: string;
  /** What the program is to print, with \r, \n and \0ooo as two and more characters. */
  readonly output?: string;
  /** Or what it is to do, in one line of shell. */
  readonly script?: string;
  /** Or one of its modes. */
  readonly mode?: 'env' | 'cat';
}

/** @param keys Lines of the route's table; `files` are made beside it, the folder cgi-bin is the route's root. */
export function startCgiGateway(
  t: TestContext,
  engine: EngineName,
  options: {
    readonly keys?: string;
    readonly more?: string;
    readonly files?: { readonly [path: string]: string };
  } = {},
): Promise<Running> {
  const config = `[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[cgi."/cgi-bin/"]
root = "cgi-bin"
interrupt_after = "0ms"
terminate_after = "200ms"
kill_after = "500ms"
${options.keys ?? ''}
${options.more ?? ''}`;
  return startGateway(t, { config, files: { 'cgi-bin/modes.cgi': MODES, ...options.files } });
}

/** The request as it goes over the wire, and the connection is to be closed after it. */
export function wire(request: CgiRequest): string {
  const { method = 'GET', path = 'modes.cgi', body } = request;
  const lines = [`${method} /cgi-bin/${path} HTTP/1.1`, 'Host: board.test:8080', 'Connection: close'];
  if (request.mode !== undefined) lines.push(`X-Mode: ${request.mode}`);
  if (request.output !== undefined) lines.push('X-Mode: print', `X-Output: ${request.output}`);
  if (request.script !== undefined) lines.push(`X-Script: ${request.script}`);
  lines.push(...(request.headers ?? []));
  const chunked = request.headers?.some((line) => /^transfer-encoding:/i.test(line)) ?? false;
  if (body !== undefined && !chunked) lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}

export function askCgi(running: Running, request: CgiRequest): Promise<RawReply> {
  return rawRequest(running.port, Buffer.from(wire(request)), request.method);
}

/** The environment that the program reports. */
export async function environmentOf(
  running: Running,
  request: CgiRequest = {},
): Promise<{ readonly [name: string]: string | undefined }> {
  const { body } = await askCgi(running, { ...request, mode: 'env' });
  return Object.fromEntries(
    body
      .toString()
      .split('\n')
      .flatMap((line) => {
        const at = line.indexOf('=');
        return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
      }),
  );
}
