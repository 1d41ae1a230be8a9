/**
 * What a frame of a WebSocket is made of (RFC 6455 section 5), for its reader and its writer. Both are the client's end: that of the proxy to an upstream, and
 * that of `runnel/client`. The server's end is the network engine's own.
 */

/** Of the first byte: no fragment follows. */
export const FINAL = 0x80;
/** Of the first byte: bits that only extensions use. We offer none. */
export const RESERVED = 0x70;
/** Of the second byte: the payload is masked, as that of every frame to a server. */
export const MASKED = 0x80;
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type Opcode = (typeof OPCODE)[keyof typeof OPCODE];

/** The largest payload whose length is in the second byte, and the largest of a control frame. Bytes. */
export const SMALL = 125;
/** In the second byte: the length follows in 16, or in 64 bits. */
export const IN_16_BITS = 126;
export const IN_64_BITS = 127;
/** The largest payload whose length is said in 16 bits. Bytes. */
export const MEDIUM = 0xffff;

/** Close codes (RFC 6455 section 7.4.1). */
export const CLOSE = { noCode: 1005, protocol: 1002, notUtf8: 1007, tooLarge: 1009 } as const;
