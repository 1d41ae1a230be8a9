/** What is fed with bytes by chance, and what must hold whatever they are. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { parseHtpasswd, parseTokens } from '../../src/config/credentials.ts';
import { formatProblem } from '../../src/config/reading/problems.ts';
import { MAX_HELLO, readClientHello } from '../../src/engine/door/client-hello.ts';
import { readPreface } from '../../src/engine/door/proxy-preface.ts';
import type { HeaderList, Request } from '../../src/engine/engine.ts';
import { isFieldValue, isToken, readFacts, readOpening, splitTarget } from '../../src/engine/heads.ts';
import { segmentsOf } from '../../src/files/segments.ts';
import { parseConfig, readConfig } from '../../src/gateway/config.ts';
import { CgiHeader, CgiOutputError, type CgiResponse } from '../../src/handlers/cgi/output.ts';
import { addressBytes, addressText } from '../../src/net/address.ts';
import { parseAddressRange } from '../../src/net/address-range.ts';
import { AddressSet, addressKey, forwarded } from '../../src/policy/addresses.ts';
import { Cors } from '../../src/policy/cors.ts';
import { decideOrigin } from '../../src/policy/origin.ts';
import { metaVariables } from '../../src/programs/meta-variables.ts';
import { canonicalPath } from '../../src/routing/canonical-path.ts';
import { routeKeyOf } from '../../src/routing/route-key.ts';
import { Router } from '../../src/routing/router.ts';
import { parseRevocationLists } from '../../src/tls/client-authority.ts';
import { elements } from '../../src/tls/der.ts';
import { doubtsAbout, parseIdentity } from '../../src/tls/identity.ts';
import { findByName } from '../../src/tls/names.ts';
import { TlsError } from '../../src/tls/tls-file.ts';
import { HELLO_NAMES, recordedHello } from '../engine/door/hellos.ts';
import { Authority, revocationList } from '../support/certificates.ts';
import { configOf } from '../support/config.ts';
import { binary, block, line, tlv } from '../support/preface.ts';
import { FORMS } from './forms.ts';
import type { Chance } from './mutate.ts';
import { anyKeys, anyPath, servedBy, spelled } from './spellings.ts';

export interface Target {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  /** Throws what `assert` throws when something does not hold. */
  run(bytes: Buffer, chance: Chance): void;
}

const SEEDS = join(import.meta.dirname, '../../../test/fuzz/seeds');
const GOLDEN = join(import.meta.dirname, '../../../test/config/golden');

/** What is wrong with a file of certificates is said in one way only. */
function troubled(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof TlsError)) throw error;
  }
}

function seeds(folder: string): readonly Buffer[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => readFileSync(join(folder, name)));
}

const DISK = {
  searchPath: ['/bin'],
  head: () => Buffer.from('#!/bin/true\n'),
  whyNotExecutable: () => undefined,
  whyNotWritable: () => undefined,
  whyFileNotWritable: () => undefined,
  isInMemory: () => false,
  names: () => [],
  look: (path: string) => ({ found: path.includes('.') ? ('file' as const) : ('folder' as const) }),
  read: (path: string) => path,
};
const CORS = new Cors(configOf({ defaults: { cors: { origins: ['https://*.example.org'] } } }).defaults.cors);
const TRUSTED = new AddressSet(
  [parseAddressRange('10.0.0.0/8'), parseAddressRange('::/1')].filter((range) => range !== undefined),
);

const AUTHORITY = new Authority('Fuzz');
const BOARD = AUTHORITY.server(['board.test', '*.board.test', '10.0.0.1']);
const LOCKED = BOARD.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString();

export const TARGETS: readonly Target[] = [
  ...FORMS,
  {
    name: 'certificates',
    seeds: [
      BOARD.certificate + BOARD.pem,
      BOARD.pem + AUTHORITY.certificate + BOARD.certificate,
      BOARD.certificate + LOCKED,
      revocationList(AUTHORITY, [BOARD]),
    ].map((text) => Buffer.from(text)),
    run(bytes) {
      const text = bytes.toString('latin1');
      const files = { certificate: 'f', key: 'f', passphrase: undefined };
      troubled(() => {
        const identity = parseIdentity(text, text, files, {});
        assert(identity.leaf.checkPrivateKey(identity.key));
        doubtsAbout(identity, 0);
        for (const name of identity.names.filter((each) => !each.includes('*'))) findByName([identity.names], name);
      });
      troubled(() => parseRevocationLists(text, 'f'));
      // Raw bytes too: base64 that was changed mostly is no base64.
      try {
        for (const { content } of elements(bytes)) elements(content);
      } catch (error) {
        assert(error instanceof RangeError, String(error));
      }
    },
  },
  {
    name: 'target',
    seeds: seeds(join(SEEDS, 'target')),
    run(bytes) {
      const split = splitTarget(bytes.toString('latin1'), 'GET');
      if (split === undefined) return;
      assert(split.path.startsWith('/') || split.path === '*');
      const path = canonicalPath(split.path);
      if (path === undefined) return;
      assert.equal(canonicalPath(path), path, 'one spelling');
      assert(!path.includes('//') && !path.split('/').some((segment) => segment === '.' || segment === '..'), path);
      assert.match(
        path,
        /^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2})*)+$/,
        'nothing but what may stand there',
      );
      assert(!/%[01]|%7F|%5C/.test(path));
      decodeURIComponent(path.replaceAll(/%[89A-F][0-9A-F]/g, ''));
    },
  },
  {
    name: 'paths',
    seeds: [Buffer.alloc(0)],
    run(_bytes, chance) {
      const keys = anyKeys(chance);
      // Now and then, because that takes as long as everything else together.
      if (chance.below(16) === 0) assert.deepEqual(checked(keys).problems, [], 'every key is one');
      const router = new Router(keys.map((key) => ({ key, value: key })));
      for (const key of keys) {
        const { host, path } = routeKeyOf(key);
        assert.equal(router.find(host, path)?.value, key, 'every route is reached by its own path');
      }
      const asked = [anyPath(chance), anyPath(chance)];
      // More often a path that something serves.
      const key = keys[chance.below(keys.length)] ?? '/';
      asked.push(key.slice(key.indexOf('/') + 1).split('/'), [
        ...key
          .slice(key.indexOf('/') + 1)
          .split('/')
          .filter((name) => name !== ''),
        'a',
      ]);
      for (const names of asked)
        for (const host of ['', 'board.test']) {
          const expected = servedBy(keys, host, names);
          const spellings = Array.from({ length: 4 }, () => spelled(names, chance));
          const paths = spellings.map((text) => canonicalPath(text) ?? assert.fail(`${text} is no path`));
          assert.deepEqual(new Set(paths).size, 1, `one form: ${spellings.join(' ')}`);
          const match = paths[0] && router.find(host, paths[0]);
          assert.deepEqual(
            match && { key: match.value, needsSlash: match.needsSlash },
            expected,
            `${spellings[0]} on "${host}" among ${keys.join(' ')}`,
          );
          if (match === undefined || match.needsSlash) continue;
          const below = names.slice(names.length - match.rest.split('/').length);
          assert.deepEqual(segmentsOf(match.rest), match.rest === '' ? [''] : below, 'a handler sees the names');
        }
    },
  },
  {
    name: 'head',
    seeds: seeds(join(SEEDS, 'head')),
    run(bytes) {
      const headers = fields(bytes);
      const facts = readFacts(headers, '1.1');
      if (typeof facts === 'string') return;
      assert(facts.contentLength === undefined || (Number.isSafeInteger(facts.contentLength) && !facts.chunked));
      const opening = readOpening(headers, facts.hasBody);
      if (opening.refused === undefined) assert(opening.handshake.protocols.every(isToken));
      const request = asked(headers);
      decideOrigin(request, facts.asksUpgrade, { cors: CORS, crossSite: 'same-origin', unsafe: 'refuse' });
      const sent = CORS.apply(headers, request);
      assert(sent.filter(([name]) => name === 'access-control-allow-origin').length <= 1);
      const script = { file: '/x', scriptName: '', pathInfo: '' };
      const told = { id: 'x', script, bodyLength: 0, passAuthorization: false };
      for (const [name, value] of metaVariables(request, told, { version: '0' })) {
        assert.match(name, /^[A-Z0-9_]+$/);
        assert(!value.includes('\0') && name !== 'HTTP_PROXY' && name !== 'HTTP_AUTHORIZATION');
      }
    },
  },
  {
    name: 'cgi',
    seeds: seeds(join(SEEDS, 'cgi')),
    run(bytes, chance) {
      const whole = cgi([bytes]);
      const cuts: Buffer[] = [];
      for (let at = 0; at < bytes.length; ) {
        const next = at + 1 + chance.below(9);
        cuts.push(bytes.subarray(at, next));
        at = next;
      }
      assert.deepEqual(cgi(cuts), whole, 'the same, however it arrives');
      if (whole === undefined || typeof whole === 'string' || whole.kind === 'local-redirect') return;
      assert(whole.status >= 100 && whole.status <= 999);
      for (const [name, value] of whole.headers) assert(isToken(name) && isFieldValue(value), `${name}: ${value}`);
    },
  },
  {
    name: 'htpasswd',
    seeds: seeds(join(SEEDS, 'htpasswd')),
    run(bytes) {
      for (const [name, hash] of parseHtpasswd(bytes.toString()).entries) {
        assert(!/[\x00-\x1f:\x7f]/.test(name) && name !== '');
        assert(hash.length === 60 && Number(hash.slice(4, 6)) <= 15);
      }
    },
  },
  {
    name: 'tokens',
    seeds: seeds(join(SEEDS, 'tokens')),
    run(bytes) {
      for (const [digest, name] of parseTokens(bytes.toString()).entries)
        assert(Buffer.from(digest, 'hex').length === 32 && name !== '');
    },
  },
  {
    name: 'proxies',
    seeds: seeds(join(SEEDS, 'proxies')),
    run(bytes) {
      const value = bytes.toString('latin1');
      for (const header of ['x-forwarded-for', 'forwarded'] as const) {
        const seen = forwarded('10.0.0.1', [[header, value]], { trusted: TRUSTED, header });
        if (seen === undefined) continue;
        if (seen.address === undefined) continue;
        assert(isIP(seen.address) !== 0, seen.address);
        assert(addressKey(seen.address).length > 0);
      }
      for (const text of [value, value.slice(0, 45)]) {
        const range = parseAddressRange(text);
        assert(range === undefined || (range.bytes.length === 16 && range.bits >= 0 && range.bits <= 128));
        assert([undefined, 16].includes(addressBytes(text)?.length));
      }
    },
  },
  {
    name: 'hello',
    seeds: HELLO_NAMES.map(recordedHello),
    run(bytes, chance) {
      const hello = readClientHello(bytes, bytes.length);
      const cut = chance.below(bytes.length + 1);
      const before = readClientHello(bytes, cut);
      if (before !== 'more') assert.deepEqual(before, hello, 'what has been decided stays');
      if (hello === 'more') assert(bytes.length < MAX_HELLO);
      if (typeof hello === 'object') assert(hello.suites.length > 0 && hello.versions.length > 0);
    },
  },
  {
    name: 'preface',
    seeds: [
      Buffer.from(line('203.0.113.7')),
      Buffer.from('PROXY TCP6 2001:db8::7 ::1 4712 80\r\n'),
      Buffer.from('PROXY UNKNOWN rest\r\n'),
      binary('203.0.113.7'),
      block(0x21, 0x21, [
        ...new Array<number>(36).fill(1),
        ...tlv(0x20, [1, 0, 0, 0, 0, ...tlv(0x21, [84])]),
        ...tlv(4, [0]),
      ]),
      block(0x20, 0, []),
    ],
    run(bytes, chance) {
      const said = readPreface(bytes);
      const before = readPreface(bytes.subarray(0, chance.below(bytes.length + 1)));
      if (before.state !== 'incomplete') assert.deepEqual(before, said, 'what has been decided stays');
      if (said.state === 'incomplete') assert(bytes.length < 4096);
      if (said.state !== 'complete') return;
      assert(said.length <= bytes.length && said.length <= 4096);
      if (said.client === undefined) return;
      const { address, port } = said.client;
      assert(isIP(address) !== 0 && port >= 0 && port <= 65535, `${address} ${port}`);
      assert.equal(addressText(Uint8Array.from(addressBytes(address) ?? [])), address, 'one spelling');
    },
  },
  {
    name: 'toml',
    seeds: [...seeds(join(SEEDS, 'toml')), ...seeds(GOLDEN).filter((bytes) => bytes.includes('['))],
    run(bytes) {
      const result = parseConfig(bytes, 'fuzz.toml', { directory: '/etc/runnel', disk: DISK });
      if (result.ok) return;
      assert(result.problems.length > 0);
      for (const problem of result.problems) {
        const line = formatProblem(problem);
        assert(!/[\x00-\x08\x0a-\x1f\x7f]/.test(line), JSON.stringify(line));
      }
    },
  },
];

/** What is wrong with a configuration that has these routes. */
function checked(keys: readonly string[]): { readonly problems: readonly string[] } {
  const result = readConfig(
    { stream: Object.fromEntries(keys.map((key) => [key, { command: ['/bin/true'] }])) },
    'fuzz',
  );
  return { problems: result.ok ? [] : result.problems.map(formatProblem) };
}

function fields(bytes: Buffer): HeaderList {
  return bytes
    .toString('latin1')
    .split('\n')
    .flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      const [name, value] = [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
      // What else there may be in them, both engines refuse.
      return isToken(name) && isFieldValue(value) ? [[name, value]] : [];
    });
}

function asked(headers: HeaderList): Request {
  const listener = { name: 'test', secure: false, port: 80 };
  return {
    method: 'POST',
    path: '/',
    query: undefined,
    version: '1.1',
    headers,
    remoteAddress: '192.0.2.7',
    remotePort: 1,
    listener,
  };
}

function cgi(chunks: readonly Buffer[]): CgiResponse | string | undefined {
  const header = new CgiHeader(8192);
  try {
    for (const chunk of chunks) {
      const found = header.feed(chunk);
      if (found !== undefined) return found.response;
    }
    return undefined;
  } catch (error) {
    assert(error instanceof CgiOutputError, String(error));
    return 'refused';
  }
}
