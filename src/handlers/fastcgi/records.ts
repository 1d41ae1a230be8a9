/**
 * FastCGI's records (FastCGI 1.0, sections 3 and 8), as far as a responder's web server needs them. Pure: bytes in, bytes out.
 * One request a connection, so the request's id is always 1 and nothing is multiplexed.
 */

const VERSION = 1;
const REQUEST_ID = 1;
const HEADER_BYTES = 8;
/** Most that one record can carry. */
const MAX_CONTENT = 65_535;

const BEGIN_REQUEST = 1;
const ABORT_REQUEST = 2;
const END_REQUEST = 3;
const PARAMS = 4;
const STDIN = 5;
const STDOUT = 6;
const STDERR = 7;
const GET_VALUES = 9;
const UNKNOWN_TYPE = 11;

const RESPONDER = 1;
const END_BODY_BYTES = 8;

/** How the application took the request (section 5.5). */
export type ProtocolStatus = 'complete' | 'cannot-multiplex' | 'overloaded' | 'unknown-role';
const PROTOCOL_STATUSES: readonly ProtocolStatus[] = ['complete', 'cannot-multiplex', 'overloaded', 'unknown-role'];

/** A piece of what the application says; pieces of one record's content come as they arrive. */
export type RecordPiece =
  | { readonly kind: 'stdout' | 'stderr'; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly appStatus: number; readonly protocolStatus: ProtocolStatus };

/** What came was not FastCGI, or not what a responder may say. */
export class RecordError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'RecordError';
  }
}

/** The beginning of a request: its role, with the connection to be closed after it, and all its variables. */
export function beginRequest(variables: ReadonlyMap<string, string>): Buffer {
  // Role (two bytes), flags (FCGI_KEEP_CONN not set), five reserved.
  const body = Buffer.from([0, RESPONDER, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([record(BEGIN_REQUEST, body), ...inRecords(PARAMS, encodeVariables(variables)), record(PARAMS)]);
}

/** A part of the request's body. An empty one is its end. */
export function stdin(bytes: Buffer): Buffer {
  return bytes.length === 0 ? record(STDIN) : Buffer.concat(inRecords(STDIN, bytes));
}

/** A question about the application itself (section 4.1): the most connections that it takes. */
export function getValues(): Buffer {
  const question = record(GET_VALUES, encodeVariables(new Map([['FCGI_MAX_CONNS', '']])));
  // Of no request.
  question.writeUInt16BE(0, 2);
  return question;
}

/** Whether an answer begins as a record of this protocol does. */
export function isFastcgi(bytes: Buffer): boolean {
  const [version, type = 0] = bytes;
  return version === VERSION && type > 0 && type <= UNKNOWN_TYPE;
}

/** Nobody wants the answer any more. */
export function abortRequest(): Buffer {
  return record(ABORT_REQUEST);
}

/** Name-value pairs (section 3.4): lengths in one byte up to 127, else in four with the highest bit set. */
function encodeVariables(variables: ReadonlyMap<string, string>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of variables) {
    const [key, text] = [Buffer.from(name), Buffer.from(value)];
    parts.push(lengthOf(key), lengthOf(text), key, text);
  }
  return Buffer.concat(parts);
}

function lengthOf({ length }: Buffer): Buffer {
  if (length < 128) return Buffer.from([length]);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(0x80000000 + length);
  return bytes;
}

function inRecords(type: number, bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += MAX_CONTENT)
    records.push(record(type, bytes.subarray(at, at + MAX_CONTENT)));
  return records;
}

function record(type: number, content: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.from([VERSION, type, 0, REQUEST_ID, 0, 0, 0, 0]);
  header.writeUInt16BE(content.length, 4);
  return Buffer.concat([header, content]);
}

/** The application's records as they come in. Holds at most a header and an end's body. */
export class RecordDecoder {
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private headerBytes = 0;
  private type = 0;
  /** Content and padding of the present record that have not come yet. */
  private content = 0;
  private padding = 0;
  private endBody = Buffer.alloc(0);
  private over = false;

  /** What `chunk` brings, piece by piece; what follows the end is left out. Throws a `RecordError` where something is wrong. */
  *feed(chunk: Buffer): IterableIterator<RecordPiece> {
    for (let at = 0; at < chunk.length && !this.over; ) {
      const bytes = chunk.subarray(at);
      if (this.headerBytes < HEADER_BYTES) {
        at += this.takeHeader(bytes);
      } else if (this.content > 0) {
        const part = bytes.subarray(0, this.content);
        this.content -= part.length;
        at += part.length;
        if (this.type === END_REQUEST) this.endBody = Buffer.concat([this.endBody, part]);
        else yield { kind: this.type === STDOUT ? 'stdout' : 'stderr', bytes: part };
      } else {
        const skipped = Math.min(this.padding, bytes.length);
        this.padding -= skipped;
        at += skipped;
      }
      if (this.headerBytes < HEADER_BYTES || this.content > 0 || this.padding > 0) continue;
      this.headerBytes = 0;
      if (this.type === END_REQUEST) yield this.end();
    }
  }

  private takeHeader(bytes: Buffer): number {
    const taken = bytes.copy(this.header, this.headerBytes);
    this.headerBytes += taken;
    if (this.headerBytes === HEADER_BYTES) this.begin();
    return taken;
  }

  /** The header is there. */
  private begin(): void {
    const { header } = this;
    const [version = 0, type = 0] = header;
    if (version !== VERSION) throw new RecordError(`not FastCGI: ${JSON.stringify(header.toString('latin1'))}`);
    if (type !== STDOUT && type !== STDERR && type !== END_REQUEST) throw new RecordError(`a record of type ${type}`);
    const id = header.readUInt16BE(2);
    if (id !== REQUEST_ID) throw new RecordError(`a record for request ${id}, which does not exist`);
    this.type = type;
    this.content = header.readUInt16BE(4);
    this.padding = header[6] ?? 0;
    if (type === END_REQUEST && this.content !== END_BODY_BYTES)
      throw new RecordError(`an end of request with ${this.content} bytes instead of ${END_BODY_BYTES}`);
  }

  private end(): RecordPiece {
    this.over = true;
    const status = this.endBody[4] ?? 0;
    const protocolStatus = PROTOCOL_STATUSES[status];
    if (protocolStatus === undefined) throw new RecordError(`an end of request with the status ${status}`);
    return { kind: 'end', appStatus: this.endBody.readUInt32BE(0), protocolStatus };
  }
}
