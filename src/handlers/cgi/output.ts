/**
 * What a CGI program says before its document (RFC 3875 section 6): the header, taken in pieces as it is written. Pure.
 *
 * Lenient where programs written for Apache rely on it: LF and CRLF, mixed; names in any case; spaces before the colon; folded
 * lines; a status line as the first line, of whatever HTTP, with interim heads (100, 103) before it; an empty header; words around the
 * number of a Status; Status, Location and Content-Type given twice (the last counts).
 * Strict where leniency would let a program's data write our header: what is not a field, a name that is not a token, a control
 * character in a value.
 */

import type { HeaderList } from '../../engine/engine.ts';
import { isToken } from '../../engine/heads.ts';
import { CONNECTION_FIELDS } from '../../net/connection-fields.ts';

/** The header was not one. The message says why, for the log. */
export class CgiOutputError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'CgiOutputError';
  }
}

/** A document, or a redirect for the client (sections 6.2.1, 6.2.3, 6.2.4). */
export interface CgiDocument {
  readonly kind: 'document';
  readonly status: number;
  readonly reason: string | undefined;
  /** Names in lower case, one character for each byte; nothing of framing or of the connection is among them. */
  readonly headers: HeaderList;
  /** The Content-Length, when there was exactly one valid number and no Transfer-Encoding. */
  readonly length: number | undefined;
  /** The program has chunked the document by itself: see `Dechunker`. */
  readonly chunked: boolean;
}

/** A local redirect (section 6.2.2): a path and perhaps a query. */
export interface CgiLocalRedirect {
  readonly kind: 'local-redirect';
  readonly target: string;
}

export type CgiResponse = CgiDocument | CgiLocalRedirect;

const LF = 0x0a;
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
const STATUS_LINE = /^HTTP\/\d(?:\.\d)?[ \t]+(.*)$/i;
const INTERIM = /^1(?!01)\d\d(?!\d)/;

/** Fields that are between two neighbours on the way, or that the engine writes itself. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([...CONNECTION_FIELDS, 'date', 'server']);

/** Fields that mean something to us. */
const OWN: ReadonlySet<string> = new Set(['status', 'location', 'content-type', 'content-length']);

/** The header as it comes in. */
export class CgiHeader {
  private taken = 0;
  /** The beginning of the line that is not over yet. */
  private line = '';
  private readonly fields: [string, string][] = [];
  private status: string | undefined;

  /** @param maxBytes The longest header in all that is taken. */
  constructor(private readonly maxBytes: number) {}

  /** Bytes seen so far, the document's not counted. */
  get bytes(): number {
    return this.taken;
  }

  /**
   * Takes what the program has written next. Undefined: the header goes on. Otherwise the response and what of `chunk` belongs
   * to the document. Throws `CgiOutputError` as soon as a line is wrong.
   */
  feed(chunk: Buffer): { readonly response: CgiResponse; readonly rest: Buffer } | undefined {
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(LF, start);
      const end = newline < 0 ? chunk.length : newline;
      this.taken += end - start + (newline < 0 ? 0 : 1);
      if (this.taken > this.maxBytes) throw new CgiOutputError(`its header is longer than ${this.maxBytes} bytes`);
      const part = chunk.toString('latin1', start, end);
      if (newline < 0) {
        this.line += part;
        return undefined;
      }
      start = newline + 1;
      const line = this.line + part;
      this.line = '';
      const text = line.endsWith('\r') ? line.slice(0, -1) : line;
      if (text !== '') this.field(text);
      else if (this.status !== undefined && INTERIM.test(this.status)) this.forget();
      else return { response: respond(this.status, this.fields), rest: chunk.subarray(start) };
    }
    return undefined;
  }

  /** The output is over before the header was. */
  end(): CgiOutputError {
    if (this.taken === 0) return new CgiOutputError('it wrote nothing');
    return new CgiOutputError('its output ended before the empty line that ends the header');
  }

  /** What a relayed head said that is only on the way to the one that counts. */
  private forget(): void {
    this.status = undefined;
    this.fields.length = 0;
  }

  private field(line: string): void {
    if (CONTROL.test(line)) throw new CgiOutputError(`a control character in its header: ${shown(line)}`);
    const last = this.fields.at(-1);
    if (/^[ \t]/.test(line)) {
      if (!last) throw new CgiOutputError(`its header starts with white space: ${shown(line)}`);
      const more = line.trim();
      if (more !== '') last[1] += last[1] === '' ? more : ` ${more}`;
      return;
    }
    const statusLine = last === undefined && this.status === undefined ? STATUS_LINE.exec(line) : undefined;
    if (statusLine) {
      this.status = statusLine[1];
      return;
    }
    const colon = line.indexOf(':');
    if (colon < 0)
      throw new CgiOutputError(
        `a line of its header has no colon: ${shown(line)}; what it prints begins with lines such as "Content-Type: text/plain" and an empty line`,
      );
    const name = line.slice(0, colon).trimEnd().toLowerCase();
    if (!isToken(name)) throw new CgiOutputError(`not a header field: ${shown(line)}`);
    this.fields.push([name, line.slice(colon + 1).trim()]);
  }
}

function respond(statusLine: string | undefined, fields: readonly (readonly [string, string])[]): CgiResponse {
  const last = (name: string): string | undefined => {
    for (let index = fields.length - 1; index >= 0; index--) if (fields[index]?.[0] === name) return fields[index]?.[1];
    return undefined;
  };
  const given = last('status') ?? statusLine;
  const location = last('location') || undefined;
  const headers = forwarded(fields);
  if (location !== undefined) {
    // Section 6.2.2: it has no other field. With any, a Content-Type too, the client goes there.
    if (given === undefined && isLocal(location) && fields.length === 1) {
      return { kind: 'local-redirect', target: location.replace(/[^\x21-\x7e]/g, percentEncoded) };
    }
    headers.push(['location', location]);
  }
  const type = last('content-type');
  if (type) headers.push(['content-type', type]);
  const { status, reason } = given === undefined ? implied(location) : parseStatus(given);
  const coding = last('transfer-encoding')?.toLowerCase();
  if (coding !== undefined && coding !== 'chunked' && coding !== 'identity')
    throw new CgiOutputError(`a Transfer-Encoding that is not known here: ${shown(coding)}`);
  const chunked = coding === 'chunked';
  return { kind: 'document', status, reason, headers, length: chunked ? undefined : contentLength(fields), chunked };
}

/** What is passed on as it is; location and content-type are added by the caller, once. */
function forwarded(fields: readonly (readonly [string, string])[]): [string, string][] {
  const named = new Set<string>();
  for (const [name, value] of fields) {
    if (name === 'connection') for (const option of value.split(',')) named.add(option.trim().toLowerCase());
  }
  const passed: [string, string][] = [];
  for (const [name, value] of fields) {
    if (!OWN.has(name) && !NOT_FORWARDED.has(name) && !named.has(name)) passed.push([name, value]);
  }
  return passed;
}

/** "//host/path" is another host's to every client, and a fragment is for the client only. */
function isLocal(location: string): boolean {
  return location.startsWith('/') && !location.startsWith('//') && !location.includes('#');
}

function implied(location: string | undefined): { status: number; reason: undefined } {
  return { status: location === undefined ? 200 : 302, reason: undefined };
}

/**
 * "404", "404 Not Found", "404: Not Found", "HTTP/1.1 404 Not Found": the number where there is one, from 200 to 999. An interim status
 * and a switch of protocols are no answer to a request: a program does not speak for the connection.
 */
function parseStatus(text: string): { status: number; reason: string | undefined } {
  const match = /^(?:HTTP\/\d(?:\.\d)?\s+)?([2-9]\d\d)(?!\d)[\s:]*(.*)$/i.exec(text.trim());
  if (match?.[1] === undefined) throw new CgiOutputError(`not a status of a response: ${shown(text)}`);
  return { status: Number(match[1]), reason: match[2] || undefined };
}

function contentLength(fields: readonly (readonly [string, string])[]): number | undefined {
  const values = new Set(fields.filter(([name]) => name === 'content-length').map(([, value]) => value));
  const [value] = values;
  if (values.size !== 1 || value === undefined || !/^\d{1,15}$/.test(value)) return undefined;
  return Number(value);
}

function percentEncoded(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** A piece of the program's output, fit for a log line. */
function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
