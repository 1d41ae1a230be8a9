/**
 * The first message of a TLS client, read before anything is answered: RFC 8446 section 4.1.2, for TLS 1.2 RFC 5246 section 7.4.1.2.
 * Pure: bytes in, meaning out.
 */
import { comparedName } from '../../tls/names.ts';

/** What a client offers, in its own order. Numbers are those of IANA's TLS registries. */
export interface ClientHello {
  /** 0x0304 is TLS 1.3. Without the extension `supported_versions` the only one is the highest that the client knows, 1.2 at most. */
  readonly versions: readonly number[];
  readonly suites: readonly number[];
  /** 0 is none. */
  readonly compressions: readonly number[];
  /** The host that it asks for, in the form that `tls/names.ts` compares; undefined when it names none. */
  readonly serverName: string | undefined;
  readonly groups: readonly number[];
  readonly signatures: readonly number[];
  /** Of points on elliptic curves; 0, uncompressed, where it does not say. */
  readonly pointFormats: readonly number[];
  /** What it wants to speak over TLS (ALPN); empty where it does not say. */
  readonly protocols: readonly string[];
  /** The types of all its extensions. */
  readonly extensions: ReadonlySet<number>;
}

/**
 * Larger ones are nobody's: one with a post-quantum key takes 2 KiB, a long ticket some more. Bytes, with the headers of the records. Whoever
 * peeks needs as large a buffer.
 */
export const MAX_HELLO = 16 * 1024;

const RECORD_HEADER = 5;
const MAX_NAME = 255;
const HANDSHAKE = 22;
const MAX_FRAGMENT = 1 << 14;
const MESSAGE_HEADER = 4;
const CLIENT_HELLO = 1;
const RANDOM = 32;
const MAX_SESSION_ID = 32;
const TLS12 = 0x0303;

const SERVER_NAME = 0;
const SUPPORTED_GROUPS = 10;
const POINT_FORMATS = 11;
const SIGNATURE_ALGORITHMS = 13;
const PROTOCOL_NEGOTIATION = 16;
const PRE_SHARED_KEY = 41;
const SUPPORTED_VERSIONS = 43;

/**
 * Reads the first `length` bytes of a connection, which lie at the start of `bytes`. 'more': they are the beginning of a hello. Undefined: they are
 * not, or it is malformed or larger than `MAX_HELLO`. What comes behind it is not looked at.
 */
export function readClientHello(bytes: Buffer, length: number): ClientHello | 'more' | undefined {
  const message = readMessage(bytes.subarray(0, Math.min(length, MAX_HELLO)));
  if (message === 'more') return length < MAX_HELLO ? 'more' : undefined;
  if (message === undefined) return undefined;
  const reader = new Reader(message);
  const hello = readHello(reader);
  return reader.failed || !reader.atEnd ? undefined : hello;
}

/** The message without its header, out of the records that it lies in (RFC 8446 section 5.1). */
function readMessage(bytes: Buffer): Buffer | 'more' | undefined {
  // Mostly there is one record, and nothing to copy.
  let message = bytes.subarray(RECORD_HEADER);
  let length = 0;
  let end: number | undefined;
  for (let at = 0; end === undefined || length < end; ) {
    if (bytes[at] !== undefined && bytes[at] !== HANDSHAKE) return undefined;
    // The minor version was never one thing (appendix D.2).
    if (bytes[at + 1] !== undefined && bytes[at + 1] !== 3) return undefined;
    if (bytes.length < at + RECORD_HEADER) return 'more';
    const size = bytes.readUInt16BE(at + 3);
    if (size === 0 || size > MAX_FRAGMENT) return undefined;
    const fragment = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + size);
    if (at === RECORD_HEADER + length) message = Buffer.from(message);
    if (at > 0) fragment.copy(message, length);
    length += fragment.length;
    if (length > 0 && message[0] !== CLIENT_HELLO) return undefined;
    if (length >= MESSAGE_HEADER) end = MESSAGE_HEADER + message.readUIntBE(1, 3);
    if (end !== undefined && end > MAX_HELLO) return undefined;
    if (fragment.length < size && (end === undefined || length < end)) return 'more';
    at += RECORD_HEADER + size;
  }
  return message.subarray(MESSAGE_HEADER, end);
}

function readHello(reader: Reader): ClientHello {
  const highest = Math.min(reader.number(2), TLS12);
  reader.skip(RANDOM);
  reader.expect(reader.vector(1).length <= MAX_SESSION_ID);
  const suites = reader.vector(2).numbers(2);
  const compressions = reader.vector(1).numbers(1);
  const extensions = readExtensions(reader);
  const list = (type: number, lengthBytes: number, width: number): readonly number[] | undefined =>
    extensions.get(type)?.only((data) => data.vector(lengthBytes).numbers(width));
  return {
    versions: list(SUPPORTED_VERSIONS, 1, 2) ?? [highest],
    suites,
    compressions,
    serverName: extensions.get(SERVER_NAME)?.only(readServerName),
    groups: list(SUPPORTED_GROUPS, 2, 2) ?? [],
    signatures: list(SIGNATURE_ALGORITHMS, 2, 2) ?? [],
    pointFormats: list(POINT_FORMATS, 1, 1) ?? [0],
    protocols: extensions.get(PROTOCOL_NEGOTIATION)?.only(readProtocols) ?? [],
    extensions: new Set(extensions.keys()),
  };
}

/** By type. Each may come once, and `pre_shared_key` only as the last (section 4.2). A hello of TLS 1.2 may have none. */
function readExtensions(reader: Reader): ReadonlyMap<number, Reader> {
  const found = new Map<number, Reader>();
  if (reader.atEnd) return found;
  const all = reader.vector(2);
  while (!all.atEnd) {
    const type = all.number(2);
    all.expect(!found.has(type) && !found.has(PRE_SHARED_KEY));
    found.set(type, all.vector(2));
  }
  return found;
}

/** RFC 6066 section 3: a list with one host. */
function readServerName(data: Reader): string {
  const list = data.vector(2);
  const type = list.number(1);
  const name = list.vector(2).text();
  // A host name has 255 bytes at most (RFC 1035 section 3.1).
  list.expect(list.atEnd && type === 0 && !name.includes('\0') && name.length <= MAX_NAME);
  return comparedName(name);
}

/** RFC 7301 section 3.1. */
function readProtocols(data: Reader): readonly string[] {
  const list = data.vector(2);
  const protocols: string[] = [];
  while (!list.atEnd) protocols.push(list.vector(1).text());
  list.expect(protocols.length > 0);
  return protocols;
}

/**
 * Reads the structures of RFC 8446 section 3. What does not fit makes it fail, with all that it is a part of, and reads as nothing. It keeps
 * positions, because a view of the bytes for each part costs more than all the rest.
 */
class Reader {
  private broken = false;

  constructor(
    private readonly bytes: Buffer,
    private at = 0,
    private readonly end = bytes.length,
    private readonly whole?: Reader,
  ) {}

  get failed(): boolean {
    return this.whole === undefined ? this.broken : this.whole.broken;
  }

  /** True for one that has failed, so that every loop ends. */
  get atEnd(): boolean {
    return this.at === this.end || this.failed;
  }

  /** Bytes that are left. */
  get length(): number {
    return this.end - this.at;
  }

  expect(condition: boolean): void {
    if (!condition) (this.whole ?? this).broken = true;
  }

  number(width: number): number {
    const start = this.skip(width);
    return this.failed ? 0 : this.bytes.readUIntBE(start, width);
  }

  /** Where what was left out begins. */
  skip(length: number): number {
    const start = this.at;
    if (length <= this.end - start) this.at += length;
    else this.expect(false);
    return start;
  }

  /** Bytes with their number in front. */
  vector(lengthBytes: number): Reader {
    const length = this.number(lengthBytes);
    const start = this.skip(length);
    return new Reader(this.bytes, start, this.at, this.whole ?? this);
  }

  /** All that is left, at least one. */
  numbers(width: number): readonly number[] {
    this.expect(!this.atEnd);
    const found: number[] = [];
    while (!this.atEnd) found.push(this.number(width));
    return found;
  }

  /** All that is left, a character for each byte; not nothing. */
  text(): string {
    this.expect(!this.atEnd);
    const text = this.bytes.toString('latin1', this.at, this.end);
    this.at = this.end;
    return text;
  }

  /** What `read` finds, which must be all that there is. */
  only<T>(read: (reader: this) => T): T {
    const found = read(this);
    this.expect(this.atEnd);
    return found;
  }
}
