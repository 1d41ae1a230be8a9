/**
 * What a request's head says, read the same way for both engines: framing, target, WebSocket handshake. Pure.
 * Strings of a head have one character per byte (latin1), so that no byte is lost on the way to a program.
 */
import type { Handshake, HeaderList } from './engine.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const NOT_IN_TARGET = /[^\x21-\x7e\x80-\xff]/;
const MAX_LENGTH_DIGITS = 15;
const ZERO = '0'.charCodeAt(0);
/** 16 bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** RFC 9110 section 5.6.2. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** RFC 9110 section 5.5: no control characters but TAB, and one character per byte. */
export function isFieldValue(text: string): boolean {
  return !NOT_IN_VALUE.test(text);
}

/**
 * Whether a path or query holds only what is taken in one unencoded: no space and no control character. Bytes above ASCII should be
 * escaped (RFC 3986), but no two servers read them in two ways, and curl and old browsers send them raw.
 */
export function isTargetText(text: string): boolean {
  return !NOT_IN_TARGET.test(text);
}

/** What the header fields say about the message itself. */
export interface HeadFacts {
  readonly host: string | undefined;
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  readonly hasBody: boolean;
  /** The client asked for a switch to WebSocket, well-formed or not. */
  readonly asksUpgrade: boolean;
  /** The client wants the connection closed after the answer (RFC 9112 section 9.6). */
  readonly asksClose: boolean;
  /** The client expects something of us beside 100 Continue, which no server of today knows (RFC 9110 section 10.1.1). */
  readonly expectsMore: boolean;
}

/**
 * Reads framing and upgrade fields. A string instead says why the head is refused: whatever two servers could read in two
 * ways (RFC 9112 sections 6.3 and 11.2, RFC 9110 section 7.2).
 */
export function readFacts(headers: HeaderList, version: '1.0' | '1.1'): HeadFacts | string {
  let host: string | undefined;
  let length: string | undefined;
  let coding: string | undefined;
  let upgrade = false;
  let connection = false;
  let close = false;
  let more = false;
  for (const [name, value] of headers) {
    switch (name) {
      case 'host':
        if (host !== undefined) return 'more than one Host';
        host = value;
        break;
      case 'content-length':
        if (length !== undefined) return 'more than one Content-Length';
        length = value;
        break;
      case 'transfer-encoding':
        if (coding !== undefined) return 'more than one Transfer-Encoding';
        coding = value;
        break;
      case 'expect':
        more ||= value !== '' && value.toLowerCase() !== '100-continue';
        break;
      case 'upgrade':
        upgrade ||= lists(value, 'websocket');
        break;
      case 'connection':
        connection ||= lists(value, 'upgrade');
        close ||= lists(value, 'close');
        break;
    }
  }
  if (host === undefined && version === '1.1') return 'no Host';
  if (coding !== undefined) {
    if (length !== undefined) return 'Content-Length and Transfer-Encoding';
    if (coding.toLowerCase() !== 'chunked') return 'a Transfer-Encoding other than chunked';
    if (version === '1.0') return 'Transfer-Encoding in HTTP/1.0';
  }
  const contentLength = length === undefined ? undefined : readLength(length);
  if (contentLength === null) return 'a Content-Length that is not a number';
  const chunked = coding !== undefined;
  return {
    host,
    contentLength,
    chunked,
    hasBody: chunked || (contentLength ?? 0) > 0,
    asksUpgrade: upgrade && connection,
    asksClose: close,
    expectsMore: more,
  };
}

function readLength(text: string): number | null {
  if (text === '' || text.length > MAX_LENGTH_DIGITS) return null;
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9) return null;
    length = length * 10 + digit;
  }
  return length;
}

function lists(value: string, word: string): boolean {
  return value
    .toLowerCase()
    .split(',')
    .some((part) => part.trim() === word);
}

/** A client's opening handshake: well-formed, or the status and reason to refuse it with. */
export type Opening =
  /** `key` is "" in HTTP/2, which needs none. */
  | { readonly handshake: Handshake; readonly key: string; readonly refused: undefined }
  | { readonly refused: 400 | 426; readonly reason: string };

/** RFC 6455 section 4.2.1, for a request whose facts say `asksUpgrade`. */
export function readOpening(headers: HeaderList, hasBody: boolean): Opening {
  return openingOf(headers, hasBody, true);
}

/** RFC 8441 section 5, for an extended CONNECT of HTTP/2. `ended`: its stream says nothing more. */
export function readConnectOpening(headers: HeaderList, ended: boolean): Opening {
  return ended
    ? { refused: 400, reason: 'a WebSocket handshake that ends its stream' }
    : openingOf(headers, false, false);
}

function openingOf(headers: HeaderList, hasBody: boolean, needsKey: boolean): Opening {
  const keys: string[] = [];
  const versions: string[] = [];
  const protocols: string[] = [];
  for (const [name, value] of headers) {
    if (name === 'sec-websocket-key') keys.push(value);
    else if (name === 'sec-websocket-version') versions.push(value);
    else if (name === 'sec-websocket-protocol') for (const part of value.split(',')) protocols.push(part.trim());
  }
  if (versions.length !== 1 || versions[0] !== '13') {
    return { refused: 426, reason: 'a Sec-WebSocket-Version other than 13' };
  }
  const key = needsKey ? keys[0] : '';
  if (needsKey && (keys.length !== 1 || key === undefined || !KEY.test(key))) {
    return { refused: 400, reason: 'a bad Sec-WebSocket-Key' };
  }
  if (hasBody) return { refused: 400, reason: 'a WebSocket handshake with a body' };
  const named = protocols.filter((protocol) => protocol !== '');
  if (!named.every(isToken)) return { refused: 400, reason: 'a bad Sec-WebSocket-Protocol' };
  return { handshake: { protocols: [...new Set(named)] }, key: key ?? '', refused: undefined };
}

/** A target in parts. */
export interface Target {
  readonly path: string;
  readonly query: string | undefined;
  /** Of the absolute form only (RFC 9112 section 3.2.2). */
  readonly authority: string | undefined;
  /** "http" or "https" where there is an authority, else "". */
  readonly scheme: string;
}

/** Splits origin-form, absolute-form and "*"; undefined for anything else, such as a target with a space. */
export function splitTarget(target: string, method: string): Target | undefined {
  if (!isTargetText(target)) return undefined;
  let rest = target;
  let authority: string | undefined;
  let scheme = '';
  if (!rest.startsWith('/') && rest !== '*') {
    const absolute = /^(https?):\/\/([^/?#]+)(.*)$/i.exec(rest);
    if (absolute?.[1] === undefined) return undefined;
    scheme = absolute[1].toLowerCase();
    authority = absolute[2];
    rest = absolute[3] ?? '';
    if (rest === '' && method === 'OPTIONS') rest = '*';
    else if (!rest.startsWith('/')) rest = `/${rest}`;
  }
  const mark = rest.indexOf('?');
  if (mark < 0) return { path: rest, query: undefined, authority, scheme };
  return { path: rest.slice(0, mark), query: rest.slice(mark + 1), authority, scheme };
}
