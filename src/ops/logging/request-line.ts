/** The line of one request, in each form that it has: for people, as JSON, and as Apache's access logs have it. */
import { visible } from '../visible.ts';
import type { Level, LogFields } from './fields.ts';

/** What is known of a request when it is over. Texts are as the client sent them, one character for each byte. */
export interface RequestRecord {
  readonly method: string;
  /** Path and query, without what is secret in them, in printable ASCII. */
  readonly target: string;
  readonly version: '1.0' | '1.1' | '2.0';
  readonly status: number;
  /** Of the body or the messages that the client was sent. */
  readonly bytes: number;
  /** Of the body or the messages that it has sent. */
  readonly received: number;
  /** From when it came to when it was over, milliseconds. */
  readonly ms: number;
  readonly route: string;
  readonly client: string;
  readonly user: string | undefined;
  /** Who it said to be, where that was refused. */
  readonly login: string | undefined;
  readonly id: string;
  readonly left: boolean;
  readonly host: string | undefined;
  readonly referer: string | undefined;
  readonly agent: string | undefined;
  readonly trace: string | undefined;
  /** Of how many like it this one was written. */
  readonly sample: number | undefined;
  readonly notes: LogFields | undefined;
}

export type RequestFormat = 'combined' | 'combined+time' | 'json' | 'plain';

/** All of it, in the order of a line. `brief`: what a person at a terminal wants of it. */
export function requestFields(record: RequestRecord, brief: boolean): LogFields {
  const { status, bytes, received, ms, route, client, user, login, id, left, notes, sample } = record;
  const short = {
    status,
    bytes,
    received: received > 0 ? received : undefined,
    ms: tenths(ms),
    route,
    client,
    user,
    login,
    id,
    left: left ? true : undefined,
    ...notes,
    sample,
  };
  if (brief) return short;
  const { method, target, version, host, referer, agent, trace } = record;
  return {
    ...short,
    method,
    target,
    protocol: `HTTP/${version}`,
    host: asText(host),
    referer: asText(referer),
    agent: asText(agent),
    trace_id: trace,
  };
}

/** What stands for it in a line's message. */
export function requestMessage({ method, target }: RequestRecord): string {
  return `${method} ${target}`;
}

/**
 * One line of JSON, without its end: put together by hand, because this is written for every request. Level and message are those of the
 * log of everything.
 */
export function requestJson(record: RequestRecord, level?: Level, message = ''): string {
  const { notes, user, login, host, referer, agent, trace, sample } = record;
  let line = `{"time":"${new Date().toISOString()}"`;
  if (level !== undefined) line += `,"level":"${level}","message":${quoted(message)}`;
  line += `,"status":${record.status},"bytes":${record.bytes}`;
  if (record.received > 0) line += `,"received":${record.received}`;
  line += `,"ms":${tenths(record.ms)},"route":${quoted(record.route)},"client":${quoted(record.client)}`;
  if (user !== undefined) line += `,"user":${quoted(user)}`;
  if (login !== undefined) line += `,"login":${quoted(login)}`;
  line += `,"id":${quoted(record.id)}`;
  if (record.left) line += ',"left":true';
  if (notes !== undefined)
    for (const [name, value] of Object.entries(notes))
      if (value !== undefined)
        line += `,${quoted(name)}:${typeof value === 'string' ? quoted(value) : JSON.stringify(value)}`;
  if (sample !== undefined) line += `,"sample":${sample}`;
  line += `,"method":${quoted(record.method)},"target":${quoted(record.target)},"protocol":"HTTP/${record.version}"`;
  if (host !== undefined) line += `,"host":${quoted(asText(host))}`;
  if (referer !== undefined) line += `,"referer":${quoted(asText(referer))}`;
  if (agent !== undefined) line += `,"agent":${quoted(asText(agent))}`;
  if (trace !== undefined) line += `,"trace_id":"${trace}"`;
  return `${line}}`;
}

/** Nothing in it needs an escape, in JSON or for a terminal. */
const HARMLESS = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** A string of JSON in which a terminal finds nothing to obey. */
export function quoted(text: string): string {
  return HARMLESS.test(text) ? `"${text}"` : visible(JSON.stringify(text));
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** Bytes of a header field as text: UTF-8 where they are that, else one character for each byte. */
function asText(bytes: string): string;
function asText(bytes: string | undefined): string | undefined;
function asText(bytes: string | undefined): string | undefined {
  if (bytes === undefined || !/[^\x00-\x7f]/.test(bytes)) return bytes;
  const text = Buffer.from(bytes, 'latin1').toString();
  return text.includes('\ufffd') ? bytes : text;
}

/**
 * Apache's LogFormat "combined" (`%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`), byte for byte, with its escapes; and the
 * same with the microseconds that it took (`%D`) behind.
 */
export class CombinedLines {
  private second = -1;
  private stamp = '';

  constructor(private readonly withTime: boolean) {}

  /** @param now milliseconds since 1970, when the request was over */
  line(record: RequestRecord, now: number): string {
    const { bytes, client, status, method, target, version, referer, agent } = record;
    // A space would make two fields of it.
    const user = escaped(bytesOf(record.user ?? record.login ?? '')).replaceAll(' ', '\\x20') || '-';
    const request = escaped(`${method} ${target}`);
    const sent = bytes === 0 ? '-' : bytes;
    const line = `${client === '' ? '-' : client} - ${user} [${this.stampOf(now - record.ms)}] "${request} HTTP/${version}" ${status} ${sent} "${field(referer)}" "${field(agent)}"`;
    return this.withTime ? `${line} ${Math.round(record.ms * 1000)}` : line;
  }

  /** When it came. Most requests of a second share its text. */
  private stampOf(at: number): string {
    const second = Math.floor(at / 1000);
    if (second !== this.second) {
      this.second = second;
      this.stamp = apacheTime(new Date(second * 1000));
    }
    return this.stamp;
  }
}

function field(value: string | undefined): string {
  return value === undefined || value === '' ? '-' : escaped(value);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** "29/Nov/2026:01:07:40 +0000", in the time zone of this machine. */
export function apacheTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const offset = -date.getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
  const zone = `${offset < 0 ? '-' : '+'}${two(hours)}${two(minutes)}`;
  const day = `${two(date.getDate())}/${MONTHS[date.getMonth()]}/${date.getFullYear()}`;
  return `${day}:${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`;
}

/** A text's bytes in UTF-8, one character for each. */
function bytesOf(text: string): string {
  return HARMLESS.test(text) ? text : Buffer.from(text).toString('latin1');
}

const LETTERS: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\b', '\\b'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
]);

/** As Apache escapes what a client has sent (ap_escape_logitem): what is no printable ASCII becomes \xhh, for each byte of it. */
function escaped(bytes: string): string {
  if (HARMLESS.test(bytes)) return bytes;
  return bytes.replaceAll(
    /["\\]|[^\x20-\x7e]/g,
    (character) => LETTERS.get(character) ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
