/**
 * What a proxy writes in front of a connection to say whose it is: the PROXY protocol, versions 1 and 2, as HAProxy's
 * doc/proxy-protocol.txt has them. Pure: bytes in, meaning out.
 */
import { addressFamily, addressText, readAddress } from '../../net/address.ts';

/** Who is behind the proxy. */
export interface ProxiedClient {
  /** As engines write addresses. */
  readonly address: string;
  readonly port: number;
  /** The client speaks TLS to the proxy (version 2, PP2_TYPE_SSL). */
  readonly secure: boolean;
}

export type Preface =
  | { readonly state: 'incomplete' }
  | { readonly state: 'malformed'; readonly reason: string }
  | {
      readonly state: 'complete';
      /** Bytes of the preface; what follows is the client's. */
      readonly length: number;
      /** Undefined when the proxy speaks for itself (LOCAL), or does not know an address (UNKNOWN, UNSPEC, a Unix socket). */
      readonly client: ProxiedClient | undefined;
    };

/** Section 2.1: the longest line of version 1, CRLF included. */
const MAX_LINE = 107;
/** Of version 2 with its TLVs. Section 2.2 asks for at least 536. */
const MAX_BLOCK = 4096;
const LINE_START = Buffer.from('PROXY ');
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const HEAD = 16;
const PP2_TYPE_SSL = 0x20;
const PP2_CLIENT_SSL = 1;

const INCOMPLETE: Preface = { state: 'incomplete' };

/** Reads what has come so far, from the connection's first byte on. Nothing is looked for behind the preface. */
export function readPreface(bytes: Buffer): Preface {
  if (startsLike(bytes, LINE_START)) return readLine(bytes);
  if (startsLike(bytes, SIGNATURE)) return readBlock(bytes);
  return malformed('no PROXY preface; switch it on in the proxy (HAProxy: send-proxy, nginx: proxy_protocol on)');
}

function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

/** Section 2.1. */
function readLine(bytes: Buffer): Preface {
  const end = bytes.subarray(0, MAX_LINE).indexOf('\n');
  if (end < 0) return bytes.length < MAX_LINE ? INCOMPLETE : malformed('a PROXY line longer than 107 bytes');
  const line = bytes.toString('latin1', 0, end);
  const length = end + 1;
  // "The receiver must ignore anything presented before the CRLF."
  if (/^PROXY UNKNOWN(?: [^\r]*)?\r$/.test(line)) return { state: 'complete', length, client: undefined };
  const match = /^PROXY (TCP4|TCP6) (\S+) (\S+) (\d{1,5}) (\d{1,5})\r$/.exec(line);
  const [, family, source = '', destination = '', ...ports] = match ?? [];
  const wanted = family === 'TCP4' ? 4 : 6;
  // A zone has no meaning for anybody but the proxy itself.
  const address = source.includes('%') ? undefined : readAddress(source);
  if (
    match === null ||
    addressFamily(source) !== wanted ||
    addressFamily(destination) !== wanted ||
    !ports.every(isPort) ||
    address === undefined
  )
    return malformed('a malformed PROXY line');
  const client = { address, port: Number(ports[0]), secure: false };
  return { state: 'complete', length, client };
}

function isPort(text: string): boolean {
  return Number(text) <= 65535 && String(Number(text)) === text;
}

/** How many bytes the addresses of a family have (section 2.2), and how many of them are the client's. */
const FAMILIES: ReadonlyMap<number, { readonly all: number; readonly client: number }> = new Map([
  [0x00, { all: 0, client: 0 }],
  [0x11, { all: 12, client: 4 }],
  [0x21, { all: 36, client: 16 }],
  [0x31, { all: 216, client: 0 }],
]);

/** Section 2.2. */
function readBlock(bytes: Buffer): Preface {
  if (bytes.length < HEAD) return INCOMPLETE;
  const length = HEAD + bytes.readUInt16BE(14);
  if (length > MAX_BLOCK) return malformed(`a PROXY preface longer than ${MAX_BLOCK} bytes`);
  const [command = 0, kind = 0] = [bytes[12], bytes[13]];
  if (command !== 0x20 && command !== 0x21) return malformed('a PROXY preface with an unknown version or command');
  const isLocal = command === 0x20;
  const family = FAMILIES.get(kind);
  // With LOCAL the rest of the block has no meaning.
  if (!isLocal && family === undefined) return malformed('a PROXY preface for a connection that is not TCP');
  if (bytes.length < length) return INCOMPLETE;
  const block = bytes.subarray(HEAD, length);
  if (isLocal || family === undefined || kind === 0) return { state: 'complete', length, client: undefined };
  const extras = block.length < family.all ? undefined : readExtras(block.subarray(family.all));
  if (extras === undefined) return malformed('a PROXY preface that is shorter than its stated length');
  if (family.client === 0) return { state: 'complete', length, client: undefined };
  const address = addressText(block.subarray(0, family.client));
  const port = block.readUInt16BE(family.client * 2);
  return { state: 'complete', length, client: { address, port, secure: extras.secure } };
}

/** The TLVs (section 2.2); undefined when they do not fill their place exactly. Only PP2_TYPE_SSL says something to us. */
function readExtras(bytes: Buffer): { readonly secure: boolean } | undefined {
  let secure = false;
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < 3) return undefined;
    const end = at + 3 + bytes.readUInt16BE(at + 1);
    if (end > bytes.length) return undefined;
    if (bytes[at] === PP2_TYPE_SSL && end > at + 3) secure = ((bytes[at + 3] ?? 0) & PP2_CLIENT_SSL) !== 0;
    at = end;
  }
  return { secure };
}

function malformed(reason: string): Preface {
  return { state: 'malformed', reason };
}
