/** What holds for a WebSocket of either engine: when it is behind, which pings are too many, and what a close frame may say. */

/** A WebSocket whose buffer is above this is behind: `send` answers false. Bytes. */
export const SOCKET_HIGH_WATER = 64 * 1024;

/** Pongs that a client may leave unread. Bytes. */
export const MAX_UNREAD_PONGS = 64 * 1024;
/** Why a WebSocket client is dropped whose pings cost it nothing, and us the memory for the pongs. */
export const UNREAD_PONGS = 'pings, and nobody who reads the pongs';

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
