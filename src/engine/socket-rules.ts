/** What holds for a WebSocket of either engine: when it is behind, which pings are too many, what a close frame may say, what is compressed. */
import type { HeaderList } from './engine.ts';

/** A WebSocket whose buffer is above this is behind: `send` answers false. Bytes. */
export const SOCKET_HIGH_WATER = 64 * 1024;

/** Pongs that a client may leave unread. Bytes. */
export const MAX_UNREAD_PONGS = 64 * 1024;
/** Why a WebSocket client is dropped whose pings cost it nothing, and us the memory for the pongs. */
export const UNREAD_PONGS = 'pings whose answers are not read';

// ---- close codes and reasons (RFC 6455 section 7.4) ----

const MAX_REASON_BYTES = 123;

/** The code to put into a close frame: undefined (an empty frame) for 1005, 1011 for one that must not be sent. */
export function sendableCode(code: number): number | undefined {
  if (code === 1005) return undefined;
  return Number.isInteger(code) && isCloseCode(code) ? code : 1011;
}

/** Whether a close frame may have this code. */
export function isCloseCode(code: number): boolean {
  const defined = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  return defined || (code >= 3000 && code <= 4999);
}

/** Cuts a reason to what fits into a close frame, at the boundary of a character. */
export function cutReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  let end = MAX_REASON_BYTES;
  // 10xxxxxx continues a character: go back to where it begins.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

// ---- permessage-deflate (RFC 7692) ----

/** Messages of fewer bytes gain nothing by compression; one of more would keep everybody waiting, because it is done between other things. */
const DEFLATED_FROM = 1024;
const DEFLATED_UP_TO = 256 * 1024;

/** Whether a message of so many bytes is compressed for a client that can have it so. */
export function isWorthDeflating(bytes: number): boolean {
  return bytes > DEFLATED_FROM && bytes <= DEFLATED_UP_TO;
}

const PLAIN_OFFER = 'permessage-deflate';
/** What an offer may say without asking for anything that we do not do anyway. The largest window is that of everybody. */
const ACCEPTABLE = [
  'client_no_context_takeover',
  'server_no_context_takeover',
  /^client_max_window_bits(=("?)([89]|1[0-5])\2)?$/,
  /^server_max_window_bits=("?)15\1$/,
] as const;

/**
 * What a client with these header fields offers, in the one form that is negotiated from here on; undefined where nothing of it is acceptable.
 * A client that asks for a smaller window of ours goes without: the window of the compressor is one for all.
 */
export function deflateOffer(headers: HeaderList): string | undefined {
  for (const [name, value] of headers) {
    if (name !== 'sec-websocket-extensions') continue;
    for (const offer of value.split(',')) {
      const [extension, ...parameters] = offer.split(';').map((part) => part.replaceAll(/\s/g, ''));
      if (extension === PLAIN_OFFER && parameters.every(isAcceptable)) return PLAIN_OFFER;
    }
  }
  return undefined;
}

function isAcceptable(parameter: string): boolean {
  return ACCEPTABLE.some((known) => (typeof known === 'string' ? known === parameter : known.test(parameter)));
}
