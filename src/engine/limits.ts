/** Numbers that both engines share. */

/** A WebSocket whose buffer is above this is behind: `send` answers false. Bytes. */
export const SOCKET_HIGH_WATER = 64 * 1024;

/** A reply of which the client takes nothing for so long is given up. Milliseconds. */
export const STALLED_REPLY = 60_000;

/** Pongs that a client may leave unread. Bytes. */
export const MOST_PONGS = 64 * 1024;
/** Why a WebSocket client is dropped whose pings cost it nothing, and us the memory for the pongs. */
export const UNREAD_PONGS = 'pings, and nobody who reads the pongs';
