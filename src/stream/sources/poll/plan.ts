/** What a polled stream makes of an answer, and when it asks again. Pure: values in, values out. */
import { type HeaderList, headerValue } from '../../../engine/engine.ts';
import { parseHttpDate } from '../../../files/http-date.ts';
import { type CursorRule, cursorOf, MAX_CURSOR } from './cursor.ts';
import { linesOf, newLines } from './lines.ts';
import { type Json, mergePatch, withoutNulls } from './merge-patch.ts';
import { type PollAnswer, tooLarge } from './target.ts';

export interface PollRules {
  readonly message: 'body' | 'lines' | 'json-diff';
  readonly cursor: CursorRule | undefined;
  /** Bytes of a body. */
  readonly maxMessage: number;
}

/** What is known from the answers so far. */
export interface PollMemory {
  /** The last body that was not empty, as text in UTF-8. */
  readonly body: Buffer | undefined;
  /** Whether that was JSON. */
  readonly wasJson: boolean;
  /** `message = "json-diff"`: the document as the viewers have it. */
  readonly document: Json | undefined;
  readonly cursor: string | undefined;
  /** For a conditional request, and for which query: that of another is another answer's. */
  readonly validators: { readonly query: string; readonly headers: HeaderList } | undefined;
}

export const NOTHING_KNOWN: PollMemory = {
  body: undefined,
  wasJson: false,
  document: undefined,
  cursor: undefined,
  validators: undefined,
};

export type PollResult =
  | { readonly outcome: 'news'; readonly messages: readonly Buffer[]; readonly memory: PollMemory }
  | { readonly outcome: 'same'; readonly memory: PollMemory }
  /** `why` goes to viewers. */
  | { readonly outcome: 'error'; readonly why: string };

/** Whether an answer is news. @param query that it answers; @param now our time, for answers without a Date */
export function judge(
  answer: PollAnswer,
  query: string,
  memory: PollMemory,
  rules: PollRules,
  now: number,
): PollResult {
  const { status, headers } = answer;
  if (status !== 304 && (status < 200 || status > 299)) return error(explain(status));
  if (answer.body.length > rules.maxMessage) return error(tooLarge(answer.body.length, rules.maxMessage).message);
  const type = headerValue(headers, 'content-type') ?? '';
  const body = asUtf8(answer.body, type);
  const isEmpty = status === 204 || status === 304 || body.length === 0;
  const validators = validatorsOf(headers, query, now);
  if (isEmpty) return { outcome: 'same', memory: withoutBody(memory, answer, validators, rules) };

  const looks = shapeOf(body, type);
  if (looks === 'html' && memory.wasJson) return error('it answers with an HTML page instead of JSON');
  let document: Json | undefined;
  if (rules.message === 'json-diff' || rules.cursor?.json !== undefined) {
    const parsed = parseJson(body);
    if ('trouble' in parsed) return error(parsed.trouble);
    document = parsed.document;
  }
  const cursor = rules.cursor === undefined ? undefined : cursorOf(rules.cursor, headers, document);
  if (cursor !== undefined && cursor.length > MAX_CURSOR)
    return error(`its cursor has more than ${MAX_CURSOR} characters`);
  const known: PollMemory = {
    body,
    wasJson: looks === 'json',
    cursor,
    document: rules.message === 'json-diff' ? document : undefined,
    validators,
  };
  const messages = memory.body?.equals(body) === true ? [] : changes(memory, body, document, rules);
  return messages.length === 0 ? { outcome: 'same', memory: known } : { outcome: 'news', messages, memory: known };
}

function changes(memory: PollMemory, body: Buffer, document: Json | undefined, rules: PollRules): readonly Buffer[] {
  if (rules.message === 'body') return [body];
  if (rules.message === 'lines') {
    const text = body.toString();
    const lines = memory.body === undefined ? linesOf(text) : newLines(memory.body.toString(), text);
    return lines.map((line) => Buffer.from(line));
  }
  const patch = document === undefined ? undefined : mergePatch(memory.document, document);
  return patch === undefined ? [] : [Buffer.from(JSON.stringify(patch))];
}

/** What no news tells: maybe a cursor in the header, maybe newer validators. What it does not tell stays as it was. */
function withoutBody(
  memory: PollMemory,
  { headers }: PollAnswer,
  validators: PollMemory['validators'],
  rules: PollRules,
): PollMemory {
  const cursor = rules.cursor === undefined ? undefined : cursorOf(rules.cursor, headers, undefined);
  return {
    ...memory,
    cursor: cursor === undefined || cursor.length > MAX_CURSOR ? memory.cursor : cursor,
    validators: validators ?? memory.validators,
  };
}

/** What is younger when it is served may change once more within the second that Last-Modified names. Milliseconds. */
const SETTLED = 2000;

/**
 * RFC 9110 section 13.1: what makes the next request a conditional one. Last-Modified counts only where it tells versions apart (section
 * 8.8.2.2): of a file that is written every second the last state would else be taken for the one before, for ever.
 */
function validatorsOf(headers: HeaderList, query: string, now: number): PollMemory['validators'] {
  const etag = headerValue(headers, 'etag');
  const modified = headerValue(headers, 'last-modified');
  const served = parseHttpDate(headerValue(headers, 'date') ?? '') ?? now;
  const fields: [string, string][] = [];
  if (etag !== undefined) fields.push(['if-none-match', etag]);
  if (modified !== undefined && served - (parseHttpDate(modified) ?? 0) >= SETTLED)
    fields.push(['if-modified-since', modified]);
  return fields.length === 0 ? undefined : { query, headers: fields };
}

/** The fields that make a request for `query` conditional. */
export function conditions(memory: PollMemory, query: string): HeaderList {
  return memory.validators?.query === query ? memory.validators.headers : [];
}

function error(why: string): PollResult {
  return { outcome: 'error', why };
}

/** Why this status is no answer, in words. */
export function explain(status: number): string {
  if (status >= 300 && status < 400) return `it answers with a redirect (${status}), which is not followed`;
  return status === 401 ? 'it asks for a password (401)' : `it answers with an error (${status})`;
}

/** What a body is, by its first character: many old programs call everything text/html. The type decides where that says nothing. */
function shapeOf(body: Buffer, type: string): 'json' | 'html' | 'other' {
  const first = /\S/.exec(body.toString('latin1', 0, 1024))?.[0] ?? '';
  if (first === '{' || first === '[') return 'json';
  if (first === '<') return /xml/i.test(type) && !/html/i.test(type) ? 'other' : 'html';
  if (/^\s*text\/html\b/i.test(type)) return 'html';
  return /^\s*application\/([^;\s]+\+)?json\b/i.test(type) ? 'json' : 'other';
}

function parseJson(body: Buffer): { readonly document: Json } | { readonly trouble: string } {
  try {
    const parsed: Json = JSON.parse(body.toString());
    return { document: withoutNulls(parsed) };
  } catch (thrown) {
    return {
      trouble: thrown instanceof RangeError ? `its JSON is ${thrown.message}` : 'its response is not JSON',
    };
  }
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** The body in UTF-8, which is what clients get: old programs answer in ISO 8859-1 and say so. */
export function asUtf8(body: Buffer, type: string): Buffer {
  const charset = /;\s*charset\s*=\s*"?([A-Za-z0-9_.:-]+)/i.exec(type)?.[1] ?? 'utf-8';
  if (/^utf-?8$/i.test(charset))
    return body.subarray(0, 3).equals(BYTE_ORDER_MARK) ? body.subarray(BYTE_ORDER_MARK.length) : body;
  try {
    return Buffer.from(new TextDecoder(charset).decode(body));
  } catch {
    // Nobody knows this name: passed on as it is.
    return body;
  }
}

export interface PollTimes {
  /** From one start to the next, milliseconds. */
  readonly interval: number;
  /** The longest wait after an error, milliseconds. */
  readonly most: number;
}

/** What the next start goes by. All in milliseconds. */
export interface LastPoll {
  /** How long it took. */
  readonly took: number;
  /** After an error: how long to leave the target alone. */
  readonly backoff: number | undefined;
  /** What it asked for itself. */
  readonly retryAfter: number | undefined;
}

/** An interval is this much longer or shorter by chance, so that many streams do not ask in step. */
const JITTER = 0.1;
/** Longest Retry-After that is obeyed, milliseconds. */
const MAX_RETRY_AFTER = 3_600_000;

/**
 * Milliseconds until the next start. What took longer than the interval has waited for news, and is asked again at once; what answered
 * sooner is paced. @param random 0 to 1
 */
export function nextPoll(last: LastPoll, times: PollTimes, random: number): number {
  const interval = times.interval * (1 - JITTER + 2 * JITTER * random);
  const paced = Math.max(0, interval - last.took);
  // After an error never sooner than usual, and never later than the longest back-off asks for.
  const wait = last.backoff === undefined ? paced : Math.max(last.backoff, Math.min(paced, times.most));
  return Math.max(wait, last.retryAfter ?? 0);
}

/** RFC 9110 section 10.2.3, in milliseconds from `now`; undefined for a field that is not there or says nothing. */
export function retryAfter(headers: HeaderList, now: number): number | undefined {
  const value = headerValue(headers, 'retry-after')?.trim();
  if (value === undefined) return undefined;
  const date = /^\d+$/.test(value) ? now + Number(value) * 1000 : parseHttpDate(value);
  return date === undefined ? undefined : Math.min(MAX_RETRY_AFTER, Math.max(0, date - now));
}
