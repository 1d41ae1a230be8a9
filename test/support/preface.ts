/** What proxies write in front of a connection (PROXY protocol). */

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** A preface of version 2: command and family as their bytes. */
export function block(command: number, family: number, content: readonly number[]): Buffer {
  const length = [content.length >> 8, content.length & 0xff];
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, ...length, ...content])]);
}

export function tlv(type: number, value: readonly number[]): number[] {
  return [type, value.length >> 8, value.length & 0xff, ...value];
}

/** Version 1, for a client of this IPv4 address. */
export function line(address: string, port = 50000): string {
  return `PROXY TCP4 ${address} 127.0.0.1 ${port} 80\r\n`;
}

/** Version 2, the same. */
export function binary(address: string, port = 50000): Buffer {
  const bytes = address.split('.').map(Number);
  return block(0x21, 0x11, [...bytes, 127, 0, 0, 1, port >> 8, port & 0xff, 0, 80]);
}
