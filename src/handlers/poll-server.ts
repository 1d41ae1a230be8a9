/** A polled source that is a server elsewhere: one connection that is kept for the polls, and a few for what viewers send. */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, Agent as TlsAgent } from 'node:https';
import type { HeaderList } from '../engine/engine.ts';
import { type PollAnswer, PollFailure, type PollRequest, type PollSource, tooLarge } from '../stream/poll-source.ts';

export interface PollServerParts {
  /** Its query is not looked at: each request has its own. */
  readonly url: URL;
  /** Of runnel. */
  readonly version: string;
  /** What every request has: credentials, where viewers share them. */
  readonly headers: HeaderList;
}

/** Connections for messages of viewers: a poll that waits for news must not hold them up. */
const MESSAGE_CONNECTIONS = 4;

export function pollServer(parts: PollServerParts): PollSource {
  const secure = parts.url.protocol === 'https:';
  const agent = (maxSockets: number): Agent =>
    secure ? new TlsAgent({ keepAlive: true, maxSockets }) : new Agent({ keepAlive: true, maxSockets });
  const agents = { GET: agent(1), POST: agent(MESSAGE_CONNECTIONS) };
  const open = secure ? httpsRequest : httpRequest;
  const send = (asked: PollRequest, heard: (response: IncomingMessage) => void): ClientRequest => {
    const { protocol, hostname, port, pathname } = parts.url;
    return open(
      {
        protocol,
        // An address in brackets is one without them to the system.
        hostname: hostname.replace(/^\[|\]$/g, ''),
        port: port === '' ? undefined : port,
        path: asked.query === '' ? pathname : `${pathname}?${asked.query}`,
        method: asked.method,
        agent: agents[asked.method],
        headers: {
          'user-agent': `runnel/${parts.version}`,
          accept: '*/*',
          ...Object.fromEntries([...parts.headers, ...asked.headers]),
          ...(asked.body === undefined ? {} : { 'content-length': asked.body.length }),
        },
      },
      heard,
    );
  };
  return {
    async ask(asked) {
      try {
        return await exchange(asked, send);
      } catch (error) {
        // It closed the kept connection in the moment in which we used it (RFC 9110 section 9.2.2).
        if (!(error instanceof StaleConnection)) throw error;
        return await exchange(asked, send);
      }
    },
    close() {
      agents.GET.destroy();
      agents.POST.destroy();
    },
  };
}

class StaleConnection extends Error {}

function exchange(
  asked: PollRequest,
  send: (asked: PollRequest, heard: (response: IncomingMessage) => void) => ClientRequest,
): Promise<PollAnswer> {
  const { signal, maxBytes } = asked;
  return new Promise((resolve, reject) => {
    let over = false;
    let heard = false;
    const finish = (settle: () => void): void => {
      if (over) return;
      over = true;
      signal.removeEventListener('abort', aborted);
      settle();
    };
    const give = (error: unknown): void =>
      finish(() => {
        outgoing.destroy();
        reject(error);
      });
    const aborted = (): void => give(signal.reason);
    const broken = (error: Error): void => {
      const stale = asked.method === 'GET' && outgoing.reusedSocket && !heard && codeOf(error) === 'ECONNRESET';
      give(stale ? new StaleConnection() : failureOf(error));
    };
    const outgoing = send(asked, (response) => {
      heard = true;
      const { 'content-length': announced, 'content-encoding': encoding = 'identity' } = response.headers;
      if (announced !== undefined && Number(announced) > maxBytes) {
        give(tooLarge(Number(announced), maxBytes));
        return;
      }
      if (encoding.toLowerCase() !== 'identity') {
        give(new PollFailure('its answer is compressed, which nobody has asked for', { detail: encoding }));
        return;
      }
      const pieces: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > maxBytes) give(tooLarge(undefined, maxBytes));
        else pieces.push(chunk);
      });
      response.on('end', () =>
        finish(() =>
          resolve({
            status: response.statusCode ?? 0,
            headers: fieldsOf(response.rawHeaders),
            body: Buffer.concat(pieces, length),
          }),
        ),
      );
      response.on('error', broken);
    });
    outgoing.on('error', broken);
    if (signal.aborted) {
      aborted();
      return;
    }
    signal.addEventListener('abort', aborted);
    outgoing.end(asked.body);
  });
}

function fieldsOf(raw: readonly string[]): HeaderList {
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) fields.push([(raw[at] ?? '').toLowerCase(), raw[at + 1] ?? '']);
  return fields;
}

const WORDS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nobody listens there'],
  ['ECONNRESET', 'it broke the connection off'],
  ['EHOSTUNREACH', 'it cannot be reached'],
  ['ENETUNREACH', 'it cannot be reached'],
  ['ETIMEDOUT', 'it cannot be reached'],
  ['ENOTFOUND', 'its name is not known'],
  ['EAI_AGAIN', 'its name cannot be looked up'],
]);

function failureOf(error: Error): PollFailure {
  const code = codeOf(error);
  const words = WORDS.get(code) ?? (code.startsWith('HPE_') ? 'what it answers is not HTTP' : 'the connection failed');
  return new PollFailure(words, { detail: `${code} ${error.message}`.trim() });
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}
