/**
 * The head of an answer (RFC 9112 sections 4 and 5), read as curl reads it: small servers pass on what their scripts print. Lines end in
 * LF or CRLF, mixed; lines are folded; spaces stand before colons; `http/1.1` is in any case; "HTTP/2 200" has no minor version. Linear in
 * its length, and bounded.
 *
 * What it makes of that is strict: names are lower-case tokens, values have no control characters, and `exact` says whether the head
 * was well-formed. A connection over which anything else has come is not used again, so that two readers who disagree about where an
 * answer ends never meet over it.
 */

import type { HeaderList } from '../engine/engine.ts';
import { isToken } from '../engine/heads.ts';
import { closedEarly, notHttp, UpstreamError } from './faults.ts';

/** Longest head, interim answers before it included, bytes. */
export const MAX_HEAD = 256 * 1024;

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** Whether its HTTP is 1.1 or later, whose connections are kept unless it says otherwise. */
  readonly persistent: boolean;
  /** Names in lower case, one character for each byte, in the order in which they came. */
  readonly headers: HeaderList;
  readonly exact: boolean;
}

const LF = 0x0a;
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/g;
const STATUS_LINE = /^HTTP\/(\d)(?:\.(\d))?[ \t]+([1-9]\d\d)(?!\d)[ \t]*(.*)$/i;
const EXACT_STATUS_LINE = /^HTTP\/1\.[01] \d{3}(?: |$)/;

/** Reads one head after the other: interim answers (1xx but 101) come before the one that counts. */
export class HeadReader {
  private taken = 0;
  /** The pieces of the line that is not over yet. */
  private line = '';
  private start: { readonly status: number; readonly reason: string; readonly persistent: boolean } | undefined;
  private fields: [string, string][] = [];
  private exact = true;

  /** Whether anything has come. */
  get begun(): boolean {
    return this.taken > 0;
  }

  /** Undefined: it goes on. Otherwise the head, and what of `chunk` comes after it. Throws an `UpstreamError`. */
  feed(chunk: Buffer): { readonly head: ResponseHead; readonly rest: Buffer } | undefined {
    let at = 0;
    while (at < chunk.length) {
      const newline = chunk.indexOf(LF, at);
      const end = newline < 0 ? chunk.length : newline + 1;
      this.taken += end - at;
      if (this.taken > MAX_HEAD)
        throw new UpstreamError('the head of its response is too large', { detail: `more than ${MAX_HEAD} bytes` });
      this.line += chunk.toString('latin1', at, end);
      at = end;
      if (newline < 0) return undefined;
      const head = this.takeLine(this.line);
      this.line = '';
      if (head !== undefined) return { head, rest: chunk.subarray(at) };
    }
    return undefined;
  }

  /** The connection has ended before the head has. */
  end(): UpstreamError {
    if (this.begun && this.start === undefined) return notHttp(shown(this.line));
    const detail = this.begun ? 'within the head of its response' : 'without a response';
    return closedEarly(detail);
  }

  private takeLine(ended: string): ResponseHead | undefined {
    const crlf = ended.endsWith('\r\n');
    if (!crlf) this.exact = false;
    const line = ended.slice(0, crlf ? -2 : -1);
    if (this.start === undefined) {
      this.takeStart(line);
      return undefined;
    }
    if (line !== '') {
      this.takeField(line);
      return undefined;
    }
    const { start, fields, exact } = this;
    this.start = undefined;
    this.fields = [];
    if (start.status < 200 && start.status !== 101) return undefined;
    return { ...start, headers: fields, exact };
  }

  private takeStart(line: string): void {
    if (!EXACT_STATUS_LINE.test(line)) this.exact = false;
    if (line.trim() === '') return;
    const [, major = '', minor = '0', status, reason = ''] = STATUS_LINE.exec(line) ?? [];
    if (status === undefined) throw notHttp(shown(line));
    const persistent = Number(major) > 1 || (major === '1' && Number(minor) > 0);
    this.start = { status: Number(status), reason: cleaned(reason), persistent };
  }

  private takeField(line: string): void {
    const value = (text: string): string => {
      const clean = cleaned(text);
      if (clean !== text) this.exact = false;
      return clean.trim();
    };
    if (line.startsWith(' ') || line.startsWith('\t')) {
      const last = this.fields.at(-1);
      if (last === undefined) throw notHttp(`its first field begins with white space: ${shown(line)}`);
      this.exact = false;
      last[1] += ` ${value(line)}`;
      return;
    }
    const colon = line.indexOf(':');
    if (colon < 0) throw notHttp(`a field without a colon: ${shown(line)}`);
    const written = line.slice(0, colon);
    const name = written.trimEnd();
    if (name !== written) this.exact = false;
    // Nobody can ask for a field with such a name, and it could not be passed on.
    if (!isToken(name)) this.exact = false;
    else this.fields.push([name.toLowerCase(), value(line.slice(colon + 1))]);
  }
}

/** RFC 9110 section 5.5: what has no place in a value becomes a space. */
function cleaned(text: string): string {
  return text.replace(CONTROL, ' ');
}

/** A piece of what came, fit for a log line. */
function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
