/** The types of names that a user chooses as a key: a route's, a header field's, an environment variable's. */

import { posix } from 'node:path';
import { type AddressEntry, parseAddressEntry } from '../../net/address-range.ts';
import { CONNECTION_FIELDS } from '../../net/connection-fields.ts';
import { hostText, parseHost } from '../../net/host.ts';
import { parseOrigin } from '../../net/origin.ts';
import { quote } from '../reading/problems.ts';
import { text } from './simple.ts';
import type { ValueType } from './value.ts';

/** What is not canonical about a key that has the right shape, and what to write instead where that can be told. */
function routeKeyProblem(host: string, path: string): { sentence: string; instead?: string } | undefined {
  if (host !== host.toLowerCase())
    return { sentence: 'a host is written in lower case', instead: host.toLowerCase() + path };
  if (host.includes('..'))
    return { sentence: 'a host has one dot between its labels', instead: host.replace(/\.{2,}/g, '.') + path };
  if (path.includes('%')) {
    const decoded = decode(path);
    const sentence = 'a path is written without percent-encoding';
    return decoded === undefined ? { sentence } : { sentence, instead: host + decoded };
  }
  if (path === '/.runnel' || path.startsWith('/.runnel/'))
    return { sentence: 'paths below "/.runnel/" are the gateway\'s own: its client for browsers, and its check page' };
  if (path !== posix.normalize(path)) {
    const sentence = 'a path has no empty, "." or ".." segments';
    return { sentence, instead: host + posix.normalize(path) };
  }
  return undefined;
}

function decode(path: string): string | undefined {
  try {
    const decoded = decodeURIComponent(path);
    return /[%\x00-\x1f\x7f?#\\]/.test(decoded) ? undefined : decoded;
  } catch {
    return undefined;
  }
}

const ROUTE_SHAPE = /^([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)?(\/[^\x00-\x1f\x7f?#\\]*)$/;

/**
 * A route's key: a path that starts with "/", with a host before it if it is for that host only. It is decoded text
 * without a second spelling; `routing/route-key.ts` brings it into the form that requests have.
 */
export const routeKey: ValueType<string> = {
  expected: 'a path such as "/app/" or "/live", or one with a host before it such as "board.local/app/"',
  json: { type: 'string', pattern: ROUTE_SHAPE.source },
  read(value, at, reading) {
    const match = typeof value === 'string' ? ROUTE_SHAPE.exec(value) : null;
    if (typeof value !== 'string' || match === null) {
      reading.wrong(at, value, this.expected, meantKey(value));
      return undefined;
    }
    const problem = routeKeyProblem(match[1] ?? '', match[2] ?? '');
    if (problem === undefined) return value;
    reading.problem(at, problem.sentence, problem.instead && `write ${quote(problem.instead)}`);
    return undefined;
  },
};

function meantKey(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 200) return undefined;
  const path = /^https?:\/\/[^/]*(\/.*)?$/i.exec(value);
  if (path !== null) return `write the path alone, such as ${quote(path[1] ?? '/')}`;
  if (/^[~^]|[$*]/.test(value)) return 'there are no patterns: "/app/" is for every path below it';
  if (value.includes('?')) return `write it without "?": ${quote(value.split('?', 1)[0] ?? '/')} is for every query`;
  if (/^[A-Za-z0-9.-]+\.[A-Za-z]+$/.test(value))
    return `write ${quote(`${value}/`)} for a host, or ${quote(`/${value}`)} for a path`;
  return /^[^[]*$/.test(value) && ROUTE_SHAPE.test(`/${value}`) ? `write ${quote(`/${value}`)}` : undefined;
}

/** What frames a reply or belongs to the connection (RFC 9110 section 7.6.1, RFC 9112 section 6): the engine writes these. */
const ENGINE_HEADERS: ReadonlySet<string> = new Set([...CONNECTION_FIELDS, 'content-length', 'date']);

/** The name of a header field that may be added to replies, in lower case. */
export const headerName: ValueType<string> = {
  expected: 'a header field name, such as "X-Frame-Options"',
  json: { type: 'string', pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
  read(value, at, reading) {
    if (typeof value !== 'string' || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value)) {
      reading.wrong(at, value, this.expected);
      return undefined;
    }
    const name = value.toLowerCase();
    if (!ENGINE_HEADERS.has(name)) return name;
    reading.problem(at, 'cannot be set: the gateway writes this header field itself');
    return undefined;
  },
};

export const headerValue = text('a header field value: printable ASCII without line breaks', /^[\t\x20-\x7e]*$/);
export const variableName = text('the name of an environment variable', /^[A-Za-z_][A-Za-z0-9_]*$/);
export const variableValue = text('a string without NUL', /^[^\x00]*$/);
export const fileName = text(
  'the name of a file, without a folder',
  /^([^\x00/.][^\x00/]*|\.[^\x00/.][^\x00/]*|\.\.[^\x00/]+)$/,
);
export const extension = text('a file name extension with its dot, such as ".php"', /^\.[^\x00/]+$/);
/** How the names of files end, in lower case, because the case of names says nothing of what is in them. */
export const nameEnding: ValueType<string> = {
  expected: 'the end of a file name, such as ".pac" or ".tar.gz"',
  json: { type: 'string', pattern: '^\\.[^\\x00-\\x1f/]+$' },
  read(value, at, reading) {
    if (typeof value === 'string' && /^\.[^\x00-\x1f/]+$/.test(value)) return value.toLowerCase();
    reading.wrong(at, value, this.expected);
    return undefined;
  },
};
const TOKEN_CHARACTER = "[!#$%&'*+.^_`|~0-9A-Za-z-]";
/** RFC 9110 section 8.3.1. */
export const mediaType = text(
  'a media type, such as "application/wasm" or "text/plain; charset=iso-8859-1"',
  new RegExp(`^T+/T+( *; *T+=(T+|"[ !#-\\[\\]-~]*"))*$`.replaceAll('T', TOKEN_CHARACTER)),
);
/** RFC 2978 section 2.3. */
export const charset = text(
  'the name of a charset, such as "utf-8" or "windows-1251"',
  /^[A-Za-z0-9][A-Za-z0-9!#$%&'+^_`{}~.:-]{0,39}$/,
);
/** Below a folder, without a way out of it and without names that start with a dot. */
export const RELATIVE_FILE = /^[^\x00-\x1f\x7f/.\\][^\x00-\x1f\x7f/\\]*(\/[^\x00-\x1f\x7f/.\\][^\x00-\x1f\x7f/\\]*)*$/;
export const relativeFile = text('the path of a file below root, such as "404.html"', RELATIVE_FILE);
export const errorStatus = text('a status from 400 to 599, such as "404"', /^[45][0-9][0-9]$/);
/** As `globMatcher` reads it. */
export const glob = text(
  'a pattern for paths below root, such as "*.css" or "assets/**"',
  /^([^\x00-\x1f{}/]|\{[^\x00-\x1f{}]*\})([^\x00-\x1f{}]|\{[^\x00-\x1f{}]*\})*$/,
);

/** A header field name (RFC 9110 section 5.6.2). */
export const fieldToken = text('a name of letters, digits and "-"', /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);

/** What both engines let through, as one reads them in the registry of IANA: `node` refuses every other one before a route is known. */
export const METHODS: readonly string[] =
  'GET HEAD POST PUT DELETE PATCH OPTIONS ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE M-SEARCH NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE'.split(
    ' ',
  );

/** A method that a page may use, or "*". */
export const corsMethod: ValueType<string> = {
  expected: 'a method that is served, such as "GET", "PUT" or "DELETE", or "*"',
  json: { enum: ['*', ...METHODS] },
  read(value, at, reading) {
    if (typeof value === 'string' && (value === '*' || METHODS.includes(value))) return value;
    const upper = typeof value === 'string' ? value.toUpperCase() : '';
    if (METHODS.includes(upper)) reading.problem(at, 'a method is written in capitals', `write ${quote(upper)}`);
    else reading.wrong(at, value, this.expected);
    return undefined;
  },
};
/** What may stand in the quotes of WWW-Authenticate. */
export const realmText = text(
  'a text of printable ASCII without quotes and backslashes',
  /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/,
);

/** A host under which a listener may be reached: in its one form, "*." at the beginning for any labels. */
export const hostPattern: ValueType<string> = {
  expected: 'the name of a host such as "board.local", "*.example.org", or "*" for any',
  json: { type: 'string', pattern: '^(\\*|(\\*\\.)?[A-Za-z0-9_.:[\\]-]+)$' },
  read(value, at, reading) {
    if (value === '*') return value;
    const [, star = '', written = ''] = (typeof value === 'string' ? /^(\*\.)?(.*)$/.exec(value) : null) ?? [];
    const host = parseHost(written);
    if (host === undefined || (star !== '' && host.kind !== 'name')) {
      reading.wrong(at, value, this.expected);
      return undefined;
    }
    if (host.port === undefined) return star + host.name;
    reading.problem(at, 'a host has no port here', `write ${quote(star + hostText(host))}`);
    return undefined;
  },
};

/** An origin in its one form; "*." at a host's beginning stands for one or more labels. */
export const originPattern: ValueType<string> = {
  expected:
    'an origin such as "https://app.example.org", "https://*.example.org", "http://app.example.org:*", "capacitor://localhost", "null", "file://" or "*"',
  json: { type: 'string', pattern: '^(\\*|null|[A-Za-z][A-Za-z0-9+.-]*://[^/]*)$' },
  read(value, at, reading) {
    if (value === '*') return value;
    const written = typeof value === 'string' ? value : '';
    const star = written.includes('://*.');
    const anyPort = written.endsWith(':*');
    const origin = parseOrigin((anyPort ? written.slice(0, -2) : written).replace('://*.', '://'));
    const fits = (!star || origin?.host?.kind === 'name') && (!anyPort || origin?.host !== undefined);
    if (origin !== undefined && fits)
      return (star ? origin.text.replace('://', '://*.') : origin.text) + (anyPort ? ':*' : '');
    const shorter = /^([a-z][a-z0-9+.-]*:\/\/[^/]*)\//i.exec(written)?.[1]?.toLowerCase();
    if (shorter !== undefined && parseOrigin(shorter) !== undefined)
      reading.problem(at, 'an origin has no path', `write ${quote(shorter)}`);
    else reading.wrong(at, value, this.expected);
    return undefined;
  },
};

/** An address, a range of them in CIDR notation, or "unix". */
export const addressEntry: ValueType<AddressEntry> = {
  expected: 'an address or a range such as "192.168.1.7", "10.0.0.0/8" or "fd00::/8", or "unix"',
  json: { type: 'string', pattern: '^(unix|[0-9A-Fa-f:.]+(/[0-9]{1,3})?)$' },
  read(value, at, reading) {
    const entry = typeof value === 'string' ? parseAddressEntry(value) : undefined;
    if (entry === undefined) reading.wrong(at, value, this.expected);
    return entry;
  },
};
