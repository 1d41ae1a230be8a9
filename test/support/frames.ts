/** Frames of a WebSocket client, byte by byte: for what no library would send. */

const MASKED = 0x80;
const FINAL = 0x80;

/** One frame. Its mask is zero, so that the payload stands there as it is. */
export function clientFrame(opcode: number, payload: Uint8Array, final = true): Buffer {
  const { length } = payload;
  const first = (final ? FINAL : 0) | opcode;
  const head = length < 126 ? [first, MASKED | length] : [first, MASKED | 126, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]);
}

export const PING = clientFrame(9, Buffer.from('hello'));
