/**
 * Nobody stops the event loop with one request: whatever reads what clients, upstreams and programs send takes time in proportion to its
 * length, also at the largest head that can be configured.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readPreface } from '../../src/engine/door/proxy-preface.ts';
import type { Request } from '../../src/engine/engine.ts';
import { isFieldValue, isToken, readFacts, readOpening, splitTarget } from '../../src/engine/heads.ts';
import { parseHttpDate } from '../../src/files/http-date.ts';
import { parseRange } from '../../src/files/range.ts';
import { segmentsOf } from '../../src/files/segments.ts';
import { conditionsOf, precondition, rangeApplies } from '../../src/files/validators.ts';
import { CgiHeader } from '../../src/handlers/cgi/output.ts';
import { asksForHtml, chooseCoding, mediaWeight } from '../../src/http/accept.ts';
import { unshared } from '../../src/http/reply.ts';
import { parseAddressRange } from '../../src/net/address-range.ts';
import { parseHost } from '../../src/net/host.ts';
import { parseOrigin } from '../../src/net/origin.ts';
import { queryValue } from '../../src/net/query.ts';
import { visible } from '../../src/ops/visible.ts';
import { AddressSet, forwarded } from '../../src/policy/addresses.ts';
import { queryToken, withoutToken } from '../../src/policy/auth/query-token.ts';
import { Cors } from '../../src/policy/cors.ts';
import { decideOrigin } from '../../src/policy/origin.ts';
import { metaVariables } from '../../src/programs/meta-variables.ts';
import { asAscii, canonicalPath, textOf as uriText } from '../../src/routing/canonical-path.ts';
import { streamQuery, transportOf } from '../../src/stream/clients/transport.ts';
import { framing } from '../../src/stream/framing.ts';
import { eventOf } from '../../src/stream/message.ts';
import { newLines } from '../../src/stream/sources/poll/lines.ts';
import { retryAfter } from '../../src/stream/sources/poll/plan.ts';
import { parseTagged } from '../../src/stream/sources/program/tagged.ts';
import { Dechunker } from '../../src/upstream/dechunk.ts';
import { HeadReader } from '../../src/upstream/response-head.ts';
import { configOf } from '../support/config.ts';
import { growth, type Shape, textOf, type Work } from './work.ts';

const KIB = 1024;
const CORS = new Cors(configOf({ defaults: { cors: { origins: ['https://*.example.org'] } } }).defaults.cors);
const TRUSTED = new AddressSet([parseAddressRange('0.0.0.0/0')].filter((range) => range !== undefined));

function request(headers: Request['headers'], query?: string): Request {
  const listener = { name: 'test', secure: false, port: 80 };
  const from = { remoteAddress: '192.0.2.7', remotePort: 1, listener };
  return { method: 'POST', path: '/', query, version: '1.1', headers, ...from };
}

/** As it comes from a pipe. */
function inPieces(text: string, feed: (piece: Buffer) => unknown): void {
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += 61) if (feed(bytes.subarray(at, at + 61)) !== undefined) return;
}

const rules = { cors: CORS, crossSite: 'same-origin', unsafe: 'refuse' } as const;
const facts = { id: 'x', script: { file: '/x', scriptName: '', pathInfo: '' }, bodyLength: 0, passAuthorization: true };
const VALIDATORS = { etag: '"x"', modified: 0 };

/** Whatever reads what others wrote, by name, and what makes its text begin to mean something. */
const READERS: readonly (readonly [name: string, work: Work, ...heads: readonly string[]])[] = [
  ['a target', (text) => splitTarget(text, 'GET'), 'http://', '/?'],
  ['a path', canonicalPath, '/', '/%41'],
  ['segments', (text) => segmentsOf(canonicalPath(text) ?? assert.fail()), '/'],
  ['text of a URI', (text) => [uriText(text), asAscii(text)]],
  ['a token in a query', (text) => [queryToken(text), withoutToken(text)], 'access_token='],
  ['a parameter', (text) => queryValue(text, 'after'), 'after='],
  ["a stream's query", streamQuery],
  ['the transport', (text) => transportOf('GET', text, [['accept', text]], false), 'text/event-stream'],
  ['a method', (text) => [isToken(text), isFieldValue(text)]],
  ['framing', (text) => FRAMING.map((name) => readFacts([[name, text]], '1.1')), 'chunked', 'Upgrade'],
  ['a handshake', (text) => OPENING.map((name) => readOpening(openingWith(name, text), false))],
  ['Host', (text) => parseHost(text), '[', 'a:'],
  ['Origin', (text) => parseOrigin(text), 'http://', 'https://[', 'https://a:'],
  [
    'the origin of a request',
    (text) =>
      ['origin', 'referer'].map((name) =>
        decideOrigin(
          request([
            [name, text],
            ['host', text],
          ]),
          true,
          rules,
        ),
      ),
    'http://',
  ],
  ['CORS', (text) => CORS.apply([['vary', text]], request([['origin', `https://${text}.example.org`]])), 'a'],
  [
    'Accept',
    (text) => [mediaWeight(text, 'text/html'), asksForHtml([['accept', text]])],
    'text/html;q=',
    'text/html',
    'a/b;',
  ],
  ['Accept-Encoding', (text) => chooseCoding(text, ['br', 'gzip']), 'gzip;q=', 'gzip'],
  ['Range', (text) => parseRange(text, 1 << 20), 'bytes=', 'bytes=0-'],
  [
    'conditions',
    (text) => CONDITIONS.map((name) => precondition(conditionsOf([[name, text]]) ?? {}, VALIDATORS)),
    '"',
    'W/"',
    '*',
  ],
  ['If-Range', (text) => rangeApplies(text, VALIDATORS, 0), '"', 'W/"'],
  ['a date', parseHttpDate, 'Sun, 06 Nov 1994 08:49:37', 'Sun Nov ', 'Sunday, '],
  [
    'X-Forwarded-For',
    (text) =>
      forwarded(
        '10.0.0.1',
        [
          ['x-forwarded-for', text],
          ['x-forwarded-proto', text],
        ],
        { trusted: TRUSTED, header: 'x-forwarded-for' },
      ),
    '10.0.0.1',
    '[',
  ],
  [
    'Forwarded',
    (text) => forwarded('10.0.0.1', [['forwarded', text]], { trusted: TRUSTED, header: 'forwarded' }),
    'for="',
    'for="[',
    'proto=',
  ],
  [
    'a preface',
    (text) => readPreface(Buffer.from(text, 'latin1')),
    'PROXY TCP4 ',
    '\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff',
  ],
  [
    'variables',
    (text) =>
      metaVariables(
        request(
          [
            ['host', text],
            ['cookie', text],
            ['cookie', text],
          ],
          text,
        ),
        facts,
        { version: '0' },
      ),
  ],
  [
    'caching of an answer',
    (text) => unshared({ status: 200, headers: [['cache-control', text]], body: undefined }),
    'public,',
    's-maxage=',
  ],
  [
    'a header of a program',
    (text) => inPieces(text, cgi()),
    'Status: 200 ',
    'Location: /',
    'A:',
    'HTTP/1.1 ',
    'A: b\n',
  ],
  ['the same at once', (text) => cgi()(Buffer.from(text, 'latin1')), 'Status: 200 ', 'Location: /', 'A:', 'A: b\n'],
  [
    'a head of an upstream',
    (text) => inPieces(text, upstream()),
    'HTTP/1.1 200 ',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 200 OK\r\nA: b\r\n',
  ],
  ['chunks', (text) => inPieces(text, dechunked()), '5;', '1\r\na\r\n0\r\n', 'ffffff\r\n'],
  ['lines', (text) => inPieces(text, decoded('lines'))],
  [
    'messages with their lengths',
    (text) => inPieces(text, decoded('length-prefixed')),
    '\0\0\0\x01a',
    '\0\x0f\xff\xff',
  ],
  ['new lines', (text) => newLines(text, `${text}a`)],
  ['an event', (text) => eventOf('a', text, 'b')],
  ['a tagged message', (text) => parseTagged(Buffer.from(text)), '{"data":"', '{"data":', '{"to":['],
  ['Retry-After', (text) => retryAfter([['retry-after', text]], 0)],
  ['text for a terminal', visible],
];

const FRAMING = ['host', 'content-length', 'transfer-encoding', 'upgrade', 'connection'];
const OPENING = ['sec-websocket-key', 'sec-websocket-version', 'sec-websocket-protocol'];
const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'];

function openingWith(name: string, text: string): Request['headers'] {
  const proper: Request['headers'] = [
    ['sec-websocket-version', '13'],
    ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ];
  return [...proper.filter(([own]) => own !== name), [name, text]];
}

function cgi(): (piece: Buffer) => unknown {
  const header = new CgiHeader(KIB * KIB);
  return (piece) => header.feed(piece);
}

function upstream(): (piece: Buffer) => unknown {
  const head = new HeadReader();
  return (piece) => head.feed(piece);
}

function dechunked(): (piece: Buffer) => unknown {
  const chunks = new Dechunker();
  return (piece) => void [...chunks.feed(piece)];
}

function decoded(name: 'lines' | 'length-prefixed'): (piece: Buffer) => unknown {
  const decoder = framing(name).decoder(KIB * KIB);
  return (piece) => void decoder.push(piece);
}

const PUMPS = [' ', ',', ';', '=', '"', '.', '%', ':', '0', 'a', '\xe9', '\n', ', ', ';q=', '/../a', '"a",', 'A:b\r\n'];
/** What no reader takes: all that came before has been for nothing. */
const TAIL = '\x01';

describe('work grows with what it is done on', () => {
  for (const [name, work, ...heads] of READERS)
    test(name, () => {
      for (const head of ['', ...heads])
        for (const pump of PUMPS) {
          const shape = { head, pump, tail: TAIL };
          const times = growth(work, shape, 64 * KIB);
          assert.equal(
            times,
            undefined,
            `${name}: ${JSON.stringify(shape)} takes ${times} times as long for 8 times as much`,
          );
        }
    });

  test('nothing is too much for the stack, at the largest head that can be configured', () => {
    for (const [name, work] of READERS)
      for (const pump of [',', ';', '&', '/']) {
        try {
          work(textOf({ head: '', pump, tail: '' }, 512 * KIB));
        } catch (error) {
          assert(!(error instanceof RangeError) || !/call stack/.test(error.message), `${name}: ${pump}`);
        }
      }
  });
});

const SOURCE = join(import.meta.dirname, '../../../src');
/** Read by nobody but the operator, or not ours to change: configurations, command lines, certificates of ours, pages. */
const APART = /^(?:config|cli|tls|browser)\//;

interface Expression {
  readonly place: string;
  readonly expression: RegExp;
}

/** A regular expression where a value may stand. */
const LITERAL = /(?<=[(=,:?[!&|]\s*|return )\/((?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+)\/([dgimsuvy]*)/g;

/** Every regular expression that is written in the source. */
function expressions(): readonly Expression[] {
  const found: Expression[] = [];
  for (const file of readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts') || APART.test(file)) continue;
    const code = readFileSync(join(SOURCE, file), 'utf8').replaceAll(/^\s*(?:\/?\*|\/\/).*$/gm, '');
    for (const [, text = '', flags = ''] of code.matchAll(LITERAL))
      found.push({ place: `${file}: /${text}/${flags}`, expression: new RegExp(text, flags.replace('g', '')) });
  }
  return found;
}

/** Texts that come near to what an expression wants: what is written in it, and characters of the classes in it. */
function shapesFor({ source }: RegExp): readonly Shape[] {
  const words = (source.match(/[A-Za-z]{2,}|[a-z]=|[=:;,"/-]+/g) ?? []).slice(0, 4);
  const heads = ['', ...words, words.join('')];
  const pumps = [...new Set([' ', 'a', '0', '.', ',', ';', '"', ...words])];
  return heads.flatMap((head) => pumps.map((pump) => ({ head, pump, tail: TAIL })));
}

test('no regular expression goes over a text again and again', () => {
  const all = expressions();
  assert(all.length > 100);
  for (const { place, expression } of all)
    for (const shape of shapesFor(expression)) {
      const times = growth((text) => expression.test(text), shape, 64 * KIB);
      assert.equal(times, undefined, `${place} with ${JSON.stringify(shape)}`);
    }
});

test('such growth is found', () => {
  const shape = { head: 'q=', pump: ' ', tail: 'x' };
  assert((growth((text) => /q=([^;]*?)[ \t]*(?:;|$)/.test(text), shape, 64 * KIB) ?? 0) > 24);
});
