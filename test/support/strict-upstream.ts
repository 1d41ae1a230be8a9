/** A server that reads requests as strictly as RFC 9112 allows, keeps its connections, and remembers whatever it could not read. */
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { startPeer } from './peer.ts';

export interface StrictRequest {
  /** Method, target, version. */
  readonly line: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface StrictUpstream {
  readonly port: number;
  readonly requests: StrictRequest[];
  /** What is not exactly one way of writing a request. */
  readonly wrong: string[];
}

const REQUEST_LINE = /^[A-Z-]+ \/[\x21-\x22\x24-\x7e]* HTTP\/1\.1$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([\t\x20-\x7e\x80-\xff]*)$/;

export async function strictUpstream(t: TestContext): Promise<StrictUpstream> {
  const requests: StrictRequest[] = [];
  const wrong: string[] = [];
  const peer = await startPeer(t, (socket) => {
    let text = '';
    socket.on('end', () => {
      if (text !== '') wrong.push(`a rest: ${JSON.stringify(text)}`);
      socket.end();
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (let request = next(text, wrong); request !== undefined; request = next(text, wrong)) {
        text = text.slice(request.bytes);
        requests.push(request);
        answer(socket, request);
      }
    });
  });
  return { port: peer.port, requests, wrong };
}

function answer(socket: Socket, { line }: StrictRequest): void {
  const url = line.split(' ')[1] ?? '';
  const body = line.startsWith('HEAD') ? '' : url;
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${url.length}\r\n\r\n${body}`);
}

function next(text: string, wrong: string[]): (StrictRequest & { readonly bytes: number }) | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [line = '', ...fields] = text.slice(0, end).split('\r\n');
  if (!REQUEST_LINE.test(line)) wrong.push(`a request line: ${JSON.stringify(line)}`);
  const headers = new Map<string, string>();
  for (const field of fields) {
    const [, name = '', value = ''] = FIELD.exec(field) ?? [];
    const key = name.toLowerCase();
    if (name === '') wrong.push(`a field: ${JSON.stringify(field)}`);
    if (['host', 'content-length'].includes(key) && headers.has(key)) wrong.push(`two fields ${key}`);
    headers.set(key, value);
  }
  if (!headers.has('host')) wrong.push('no Host');
  if (headers.has('transfer-encoding')) wrong.push('a Transfer-Encoding');
  const length = headers.get('content-length') ?? '0';
  if (!/^\d+$/.test(length)) wrong.push(`a length: ${JSON.stringify(length)}`);
  const bytes = end + 4 + Number(length);
  if (text.length < bytes) return undefined;
  return { line, headers, body: text.slice(end + 4, bytes), bytes };
}
