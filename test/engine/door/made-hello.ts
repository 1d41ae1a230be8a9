/** First messages of TLS clients, put together from parts that may be wrong. */

export interface HelloParts {
  readonly session?: Buffer;
  readonly suites?: Buffer;
  readonly compressions?: Buffer;
  /** Undefined: the hello ends before them. */
  readonly extensions?: readonly Buffer[] | undefined;
  /** Within the message, where nothing should be. */
  readonly behind?: Buffer;
}

/** Bytes with their number in front. */
export function list(lengthBytes: number, content: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(content.length, 0, lengthBytes);
  return Buffer.concat([length, content]);
}

export function numbers(width: number, values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * width);
  values.forEach((value, index) => {
    bytes.writeUIntBE(value, index * width, width);
  });
  return bytes;
}

export function extension(type: number, data: Buffer): Buffer {
  return Buffer.concat([numbers(2, [type]), list(2, data)]);
}

/** In one record, of TLS 1.2 where no extension says otherwise. */
export function helloBytes(parts: HelloParts): Buffer {
  const { session = Buffer.alloc(0), suites = numbers(2, [0x1301, 0xc02b]), compressions = Buffer.from([0]) } = parts;
  const { behind = Buffer.alloc(0) } = parts;
  const extensions = 'extensions' in parts ? parts.extensions : [];
  const body = Buffer.concat([
    numbers(2, [0x0303]),
    Buffer.alloc(32, 7),
    list(1, session),
    list(2, suites),
    list(1, compressions),
    extensions === undefined ? Buffer.alloc(0) : list(2, Buffer.concat(extensions)),
    behind,
  ]);
  return records(Buffer.concat([Buffer.from([1]), list(3, body)]), 1 << 14);
}

/** A message in records of `size` bytes, and one of `odd` bytes before the second. */
export function records(message: Buffer, size: number, odd?: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const head = Buffer.from([22, 3, 1]);
    parts.push(head, list(2, message.subarray(at, at + size)));
    if (odd !== undefined && at === 0) parts.push(head, list(2, Buffer.alloc(odd)));
  }
  return Buffer.concat(parts);
}
