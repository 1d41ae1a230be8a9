/** One thing, one form, and one decision, whatever its spelling: addresses, hosts and origins. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import type { ListenerFacts } from '../../src/engine/engine.ts';
import { addressBytes, addressText, readAddress } from '../../src/net/address.ts';
import { parseAddressEntry } from '../../src/net/address-range.ts';
import { type Host, hostText, parseHost, sameHost } from '../../src/net/host.ts';
import { HostPatterns } from '../../src/net/host-patterns.ts';
import { type Origin, parseOrigin, usualPort } from '../../src/net/origin.ts';
import { AddressSet, addressKey, forwarded } from '../../src/policy/addresses.ts';
import { Cors } from '../../src/policy/cors.ts';
import { isSameOrigin } from '../../src/policy/origin.ts';
import { configOf } from '../support/config.ts';
import type { Chance } from './mutate.ts';
import type { Target } from './targets.ts';

const SOME = new AddressSet(
  ['10.0.0.0/8', 'fe80::/10', '2001:db8::/33', 'unix'].flatMap((text) => parseAddressEntry(text) ?? []),
);
const PROXIES = { trusted: new AddressSet(['unix']), header: 'x-forwarded-for' } as const;
const HOSTS = new HostPatterns(['board.local', '*.example.org']);
const CORS = new Cors(
  configOf({ defaults: { cors: { origins: ['https://*.example.org', 'http://board:8080', 'app://', 'null'] } } })
    .defaults.cors,
);

function bytesOf(texts: readonly string[]): readonly Buffer[] {
  return texts.map((text) => Buffer.from(text, 'latin1'));
}

/** The same letters, some of them the other way. */
function otherCase(text: string, chance: Chance): string {
  return [...text].map((letter) => (chance.below(2) === 0 ? letter.toUpperCase() : letter.toLowerCase())).join('');
}

/** One of many ways to write an address. */
function otherAddress(form: string, chance: Chance): string {
  const bytes = addressBytes(form) ?? new Uint8Array(16);
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0));
  const zone = ['', '%eth0', '%', '%25wlan0', '%1%2'][chance.below(5)];
  if (isIP(form) === 4 && chance.below(2) === 0) return form;
  const padded = groups.map((group) => group.toString(16).padStart(1 + chance.below(4), '0'));
  const end = chance.below(2) === 0 ? padded.slice(6).join(':') : bytes.slice(12).join('.');
  return otherCase([...padded.slice(0, 6), end].join(':'), chance) + zone;
}

function otherHost(host: Host, usual: number | undefined, chance: Chance): string {
  const { name, kind, port } = host;
  const written =
    kind === 'ipv6' ? `[${otherAddress6(name, chance)}]` : otherCase(name, chance) + '.'.repeat(chance.below(2));
  const usually = port === undefined && usual !== undefined && chance.below(2) === 0;
  if (usually) return `${written}:${usual}`;
  return port === undefined ? written + ':'.repeat(chance.below(2)) : `${written}:${String(port).padStart(5, '0')}`;
}

/** An IPv4 address within IPv6 is a host of its own. */
function otherAddress6(name: string, chance: Chance): string {
  return otherCase(name, chance) + ['', '%eth0', '%25eth0'][chance.below(3)];
}

function otherOrigin({ scheme, host, text }: Origin, chance: Chance): string {
  if (host === undefined) return otherCase(text, chance);
  return `${otherCase(scheme, chance)}://${otherHost(host, usualPort(scheme), chance)}`;
}

export const FORMS: readonly Target[] = [
  {
    name: 'addresses',
    seeds: bytesOf([
      '10.0.0.1',
      '::ffff:10.0.0.1',
      'fe80::1%eth0',
      '2001:db8::9',
      '::',
      '1:2:3:4:5:6:7:8',
      '203.0.113.9',
    ]),
    run(bytes, chance) {
      const chosen = Uint8Array.from({ length: 16 }, () => (chance.below(3) === 0 ? chance.below(256) : 0));
      for (const text of [bytes.toString('latin1'), addressText(chosen)]) {
        const form = readAddress(text);
        if (form === undefined) continue;
        assert(isIP(form) !== 0 && !form.includes('%'), form);
        assert.equal(readAddress(form), form, 'one form');
        const other = otherAddress(form, chance);
        assert.equal(readAddress(other), form, other);
        assert.equal(addressKey(readAddress(other) ?? ''), addressKey(form));
        assert.equal(SOME.has(readAddress(other) ?? ''), SOME.has(form));
        for (const hop of [other, `[${other}]`, `[${other}]:4711`]) {
          if (isIP(other) === 4 && hop !== other) continue;
          assert.equal(forwarded('unix', [['x-forwarded-for', `1.2.3.4, ${hop}`]], PROXIES)?.address, form, hop);
        }
      }
    },
  },
  {
    name: 'hosts',
    seeds: bytesOf([
      'board.local:8080',
      'a.example.org',
      '[fe80::1%eth0]:80',
      '192.168.1.7',
      'localhost.',
      'x.localhost:',
    ]),
    run(bytes, chance) {
      const host = parseHost(bytes.toString('latin1'));
      if (host === undefined) return;
      const text = hostText(host) + (host.port === undefined ? '' : `:${host.port}`);
      assert.deepEqual(parseHost(text), host, 'one form');
      assert.match(text, /^([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])(:\d{1,5})?$/);
      const other = otherHost(host, 80, chance);
      const parsed = parseHost(other);
      assert(parsed !== undefined && sameHost(parsed, host, 80), other);
      assert.equal(HOSTS.admits(parsed), HOSTS.admits(host), other);
    },
  },
  {
    name: 'origins',
    seeds: bytesOf([
      'https://a.example.org',
      'http://board:8080',
      'http://[::1]',
      'null',
      'file://',
      'app://-',
      'app://',
    ]),
    run(bytes, chance) {
      const field = bytes.toString('latin1');
      const origin = parseOrigin(field);
      if (origin === undefined) return;
      assert.deepEqual(parseOrigin(origin.text), origin, 'one form');
      assert.match(origin.text, /^[!-~]+$/);
      const other = otherOrigin(origin, chance);
      const parsed = parseOrigin(other);
      assert.deepEqual(parsed, origin, other);
      assert.equal(CORS.welcomes(origin), CORS.lists(origin));
      if (origin.host === undefined || usualPort(origin.scheme) === undefined) return;
      const host = otherHost(origin.host, usualPort(origin.scheme), chance);
      for (const secure of [false, true]) {
        const listener: ListenerFacts = { name: 'test', secure, port: 1 };
        const same = isSameOrigin(origin, { headers: [['host', host]], listener });
        assert.equal(same, (origin.scheme === 'https') === secure, host);
      }
    },
  },
];
