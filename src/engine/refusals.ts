/** What an engine answers by itself, before anybody above it is asked. */
import { type HeaderList, headerValue, type Reply, type Request } from './engine.ts';
import { type HeadFacts, isTargetText, isToken, type Opening } from './heads.ts';
import { plainReply } from './replies.ts';

const STRIPPED =
  'a WebSocket handshake without "Upgrade: websocket" and "Connection: Upgrade": a proxy in between removed them';

/** Why a request is not handed up whose framing is sound, and what its client is told. */
export interface HeadRefusal {
  readonly reply: Reply;
  readonly reason: string;
}

/** What a client gets instead that has been refused too often in this second. */
export const REFUSED_TOO_OFTEN: Reply = refusalReply(429, 'too many requests');

/** What a client gets whose connection is one too many. */
export const TOO_MANY_CONNECTIONS: Reply = refusalReply(503, 'too many connections');

/** `opening` is the WebSocket handshake, when the client asked for one. */
export function headRefusal(
  request: Request,
  facts: Pick<HeadFacts, 'expectsMore'>,
  opening: Opening | undefined,
): HeadRefusal | undefined {
  const { method, path, query } = request;
  // Nearly all of them are this one, and patterns cost.
  if (method !== 'GET' && !isToken(method)) return refusal(400, 'a method that is not a token');
  if (!isTargetText(path) || (query !== undefined && !isTargetText(query)))
    return refusal(400, 'a request target with invalid characters');
  if (method === 'CONNECT') return refusal(405, 'CONNECT');
  if (facts.expectsMore) return refusal(417, 'an Expect other than 100-continue');
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
  return { reply: refusalReply(status, reason), reason };
}

/** Says what is wrong, and with some statuses what to do instead. The connection is closed behind it. */
export function refusalReply(status: number, reason: string): Reply {
  return plainReply(status, `refused: ${reason}`, fieldsOf(status));
}

function fieldsOf(status: number): HeaderList {
  switch (status) {
    case 405:
      return [['allow', 'GET, HEAD, POST, OPTIONS']];
    case 426:
      return [
        ['upgrade', 'websocket'],
        ['sec-websocket-version', '13'],
      ];
    case 429:
      return [['retry-after', '1']];
    case 503:
      return [['retry-after', '5']];
    default:
      return [];
  }
}
