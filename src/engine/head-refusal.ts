/** Requests that an engine answers by itself, before there is an exchange: their framing is sound, but they cannot be served. */
import { headerValue, type Reply, type Request } from './engine.ts';
import { isTargetText, isToken, type Opening } from './heads.ts';
import { plainReply } from './reply-check.ts';

const STRIPPED =
  'a WebSocket handshake without "Upgrade: websocket" and "Connection: Upgrade": a proxy in between has taken them off';

export interface HeadRefusal {
  readonly reply: Reply;
  readonly reason: string;
}

/** What a client gets instead that has been refused too often in this second. */
export const REFUSED_TOO_OFTEN: Reply = plainReply(429, 'refused: too many requests', [['retry-after', '1']]);

/** `opening` is the WebSocket handshake, when the client asked for one. */
export function headRefusal(request: Request, opening: Opening | undefined): HeadRefusal | undefined {
  const { method, path, query } = request;
  if (!isToken(method)) return refusal(400, 'a method that is no token');
  if (!isTargetText(path) || !isTargetText(query ?? '')) return refusal(400, 'a target that is no text');
  if (method === 'CONNECT') return refusal(405, 'CONNECT');
  if (opening === undefined) return isStrippedHandshake(request) ? refusal(426, STRIPPED) : undefined;
  return opening.refused === undefined ? undefined : refusal(opening.refused, opening.reason);
}

/**
 * Only a WebSocket client sends the key, and it waits for a 101: any other answer would be one that it does not understand, or a stream
 * that never ends.
 */
function isStrippedHandshake({ method, headers }: Request): boolean {
  return method === 'GET' && headerValue(headers, 'sec-websocket-key') !== undefined;
}

function refusal(status: number, reason: string): HeadRefusal {
  const headers: [string, string][] = [];
  if (status === 426) headers.push(['upgrade', 'websocket'], ['sec-websocket-version', '13']);
  if (status === 405) headers.push(['allow', 'GET, HEAD, POST, OPTIONS']);
  return { reply: plainReply(status, `refused: ${reason}`, headers), reason };
}
