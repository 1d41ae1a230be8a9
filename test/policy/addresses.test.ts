import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HeaderList, Request } from '../../src/engine/engine.ts';
import { type AddressEntry, parseAddressEntry, parseAddressRange } from '../../src/net/address-range.ts';
import { AddressSet, addressKey, forwarded, TrustedProxies } from '../../src/policy/addresses.ts';
import { RequestRates } from '../../src/policy/request-rates.ts';
import { fakeCall } from '../support/call.ts';
import { configOf } from '../support/config.ts';

function ranges(...texts: readonly string[]): AddressSet {
  return new AddressSet(
    texts.map((text): AddressEntry => {
      const range = parseAddressEntry(text);
      assert(range !== undefined, text);
      return range;
    }),
  );
}

describe('ranges', () => {
  const CASES: readonly [range: string, address: string, inside: boolean][] = [
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['192.168.1.7', '192.168.1.7', true],
    ['192.168.1.7', '192.168.1.8', false],
    ['192.168.1.128/25', '192.168.1.127', false],
    ['192.168.1.128/25', '192.168.1.200', true],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '203.0.113.9', true],
    ['::ffff:10.0.0.0/104', '10.1.2.3', true],
    ['fd00::/8', 'fd12::1', true],
    ['fd00::/8', 'fe80::1', false],
    ['2001:db8::1', '2001:0db8:0:0::1', true],
    ['fe80::/10', 'fe80::1', true],
    ['unix', 'unix', true],
    ['unix', '127.0.0.1', false],
    ['unix', '', false],
    ['0.0.0.0/0', 'unix', false],
    ['::/0', 'unix', false],
    ['::/0', '', false],
    ['127.0.0.0/8', '', false],
    ['127.0.0.0/8', 'localhost', false],
  ];
  for (const [range, address, inside] of CASES)
    test(`${range} and "${address}"`, () => assert.equal(ranges(range).has(address), inside));
  for (const text of [
    '',
    '10.0.0.0/33',
    '::/129',
    '10.0.0',
    'fe80::1%eth0',
    'board',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '::1::',
  ])
    test(`"${text}" is none`, () => assert.equal(parseAddressRange(text), undefined));
});

test('one household has one name: IPv6 counts by its /64', () => {
  assert.equal(addressKey('192.0.2.1'), '192.0.2.1');
  assert.equal(addressKey('2001:db8:1:2::1'), addressKey('2001:db8:1:2:ffff::9'));
  assert.notEqual(addressKey('2001:db8:1:2::1'), addressKey('2001:db8:1:3::1'));
  assert.equal(addressKey('fe80::1'), addressKey('fe80::2'));
  assert.equal(addressKey('unix'), 'unix');
});

test('who has passed on a connection of somebody unknown is not believed', () => {
  const proxies = new TrustedProxies(configOf({ connections: { trusted_proxies: ['10.0.0.1'] } }).connections);
  const request: Request = {
    method: 'GET',
    path: '/',
    query: undefined,
    version: '1.1',
    headers: [['x-forwarded-for', '203.0.113.9']],
    remoteAddress: '10.0.0.1',
    remotePort: 1,
    listener: { name: 'test', secure: false, port: 80 },
  };
  assert.equal(proxies.asClient(request).remoteAddress, '203.0.113.9');
  assert.equal(proxies.asClient({ ...request, anonymous: true }).remoteAddress, '10.0.0.1');
});

describe('below which path the client sees us', () => {
  const CASES: readonly [fields: HeaderList, path: string, kept: boolean, prefix: string, becomes: string][] = [
    [[], '/x', false, '', '/x'],
    [[['x-forwarded-prefix', '/board']], '/x', false, '/board', '/x'],
    [[['x-forwarded-prefix', '/board/']], '/x', false, '/board', '/x'],
    [[['x-forwarded-prefix', '/outer, /inner']], '/x', false, '/outer', '/x'],
    [[['x-ingress-path', '/api/hassio_ingress/nUX2_iQ7']], '/x', false, '/api/hassio_ingress/nUX2_iQ7', '/x'],
    [[['x-forwarded-prefix', '/']], '/x', false, '', '/x'],
    [[['x-forwarded-prefix', 'board']], '/x', false, '', '/x'],
    [[['x-forwarded-prefix', '//evil.example']], '/x', false, '', '/x'],
    [[['x-forwarded-prefix', '/\\evil.example']], '/x', false, '', '/x'],
    [[['x-forwarded-prefix', '/a/../b']], '/x', false, '', '/x'],
    [[['x-forwarded-prefix', '/a?b']], '/x', false, '', '/x'],
    [[['x-forwarded-prefix', '/a\tb']], '/x', false, '', '/x'],
    [[['x-forwarded-prefix', `/${'a'.repeat(600)}`]], '/x', false, '', '/x'],
    [[['x-forwarded-prefix', '/board']], '/board/x', true, '/board', '/x'],
    [[['x-forwarded-prefix', '/board']], '/board/', true, '/board', '/'],
    [[['x-forwarded-prefix', '/board']], '/board', true, '/board', '/board'],
    [[['x-forwarded-prefix', '/board']], '/boards/x', true, '/board', '/boards/x'],
    [[['x-forwarded-prefix', '/board']], '/board/x', false, '/board', '/board/x'],
  ];
  for (const [headers, path, kept, prefix, becomes] of CASES)
    test(`${JSON.stringify(headers)} ${path} ${kept ? 'kept' : 'stripped'}`, () => {
      const proxy_prefix = kept ? 'kept' : 'stripped';
      const { connections } = configOf({ connections: { trusted_proxies: ['10.0.0.1'], proxy_prefix } });
      const proxies = new TrustedProxies(connections);
      const { request } = fakeCall({ path, headers });
      const seen = proxies.asClient({ ...request, remoteAddress: '10.0.0.1' });
      assert.deepEqual([seen.prefix, seen.path], [prefix, becomes]);
      const stranger = proxies.asClient({ ...request, remoteAddress: '10.0.0.2' });
      assert.deepEqual([stranger.prefix, stranger.path, stranger.proxied], [undefined, path, undefined]);
    });
});

test('an address that nobody knows has limits', () => {
  const { connections } = configOf({});
  assert(!new RequestRates(connections, new TrustedProxies(connections)).isExempt(''));
});

describe('who is the client behind proxies', () => {
  const CASES: readonly [
    name: string,
    peer: string,
    fields: HeaderList,
    /** "" for one that the proxy does not name. */
    client: string | undefined,
    secure?: boolean,
  ][] = [
    ['the peer is no proxy of ours', '203.0.113.1', [['x-forwarded-for', '1.2.3.4']], undefined],
    ['the proxy says nothing', '10.0.0.1', [], undefined],
    ['one hop', '10.0.0.1', [['x-forwarded-for', '203.0.113.9']], '203.0.113.9'],
    [
      'what the client wrote itself stands before it',
      '10.0.0.1',
      [['x-forwarded-for', '1.2.3.4, 203.0.113.9']],
      '203.0.113.9',
    ],
    ['two proxies of ours', '10.0.0.1', [['x-forwarded-for', '1.2.3.4, 203.0.113.9, 10.0.0.2']], '203.0.113.9'],
    [
      'two fields are one list',
      '10.0.0.1',
      [
        ['x-forwarded-for', '203.0.113.9'],
        ['x-forwarded-for', '10.0.0.2'],
      ],
      '203.0.113.9',
    ],
    ['nobody but proxies', '10.0.0.1', [['x-forwarded-for', '10.0.0.3, 10.0.0.2']], '10.0.0.3'],
    [
      'rubbish in front of a proxy of ours',
      '10.0.0.1',
      [['x-forwarded-for', '9.9.9.9, unknown, 10.0.0.2']],
      '10.0.0.2',
    ],
    ['rubbish only', '10.0.0.1', [['x-forwarded-for', 'unknown']], ''],
    [
      'rubbish over https',
      '10.0.0.1',
      [
        ['x-forwarded-for', 'unknown'],
        ['x-forwarded-proto', 'https'],
      ],
      '',
      true,
    ],
    ['nothing but the scheme', '10.0.0.1', [['x-forwarded-proto', 'wss']], '', true],
    ['the last scheme is the proxy’s', '10.0.0.1', [['x-forwarded-proto', 'https, http']], '', false],
    ['with a port', '10.0.0.1', [['x-forwarded-for', '203.0.113.9:4711']], '203.0.113.9'],
    ['IPv6 with a port', '10.0.0.1', [['x-forwarded-for', '[2001:db8::9]:4711']], '2001:db8::9'],
    [
      'https',
      '10.0.0.1',
      [
        ['x-forwarded-for', '203.0.113.9'],
        ['x-forwarded-proto', 'https'],
      ],
      '203.0.113.9',
      true,
    ],
    [
      'http',
      '10.0.0.1',
      [
        ['x-forwarded-for', '203.0.113.9'],
        ['x-forwarded-proto', 'http'],
      ],
      '203.0.113.9',
      false,
    ],
    ['a Unix socket that is no proxy', 'unix', [['x-forwarded-for', '203.0.113.9']], undefined],
    ['IPv4 within IPv6', '10.0.0.1', [['x-forwarded-for', '::ffff:203.0.113.9']], '203.0.113.9'],
    ['the same in hexadecimal', '10.0.0.1', [['x-forwarded-for', '::FFFF:CB00:7109']], '203.0.113.9'],
    ['a proxy of ours within IPv6', '10.0.0.1', [['x-forwarded-for', '203.0.113.9, [::ffff:a00:2]:80']], '203.0.113.9'],
    ['IPv6 written out', '10.0.0.1', [['x-forwarded-for', '2001:0DB8:0:0::9']], '2001:db8::9'],
    ['a zone', '10.0.0.1', [['x-forwarded-for', 'fe80::9%eth0']], 'fe80::9'],
    ['a zone and a port', '10.0.0.1', [['x-forwarded-for', '[fe80::9%25eth0]:4711']], 'fe80::9'],
    ['no address of a machine', '10.0.0.1', [['x-forwarded-for', 'unix']], ''],
    ['an address and something else', '10.0.0.1', [['x-forwarded-for', '203.0.113.9:80:80']], ''],
    ['an address with a zero in front', '10.0.0.1', [['x-forwarded-for', '203.0.113.009']], ''],
    ['the other field is not believed', '10.0.0.1', [['forwarded', 'for=1.2.3.4']], undefined],
  ];
  for (const [name, peer, fields, client, secure] of CASES)
    test(name, () => {
      const seen = forwarded(peer, fields, { trusted: ranges('10.0.0.0/8'), header: 'x-forwarded-for' });
      assert.deepEqual(seen, client === undefined ? undefined : { address: client || undefined, secure });
    });
  test('Forwarded (RFC 7239)', () => {
    const proxies = { trusted: ranges('10.0.0.0/8'), header: 'forwarded' } as const;
    const value = 'for=1.2.3.4, For="[2001:db8::9]:47";proto=https;by=10.0.0.1, for=10.0.0.2;proto=http';
    assert.deepEqual(forwarded('10.0.0.1', [['forwarded', value]], proxies), { address: '2001:db8::9', secure: true });
    assert.deepEqual(forwarded('10.0.0.1', [['forwarded', 'for=_hidden;proto=https']], proxies), {
      address: undefined,
      secure: true,
    });
    const hiddenPort = [['forwarded', 'for="203.0.113.9:_gazonk"']] as const;
    assert.equal(forwarded('10.0.0.1', hiddenPort, proxies)?.address, '203.0.113.9');
    // A quote that the client has opened must not swallow what the proxy adds.
    const opened = [['forwarded', 'for="1.2.3.4, for=203.0.113.9']] as const;
    assert.equal(forwarded('10.0.0.1', opened, proxies)?.address, '203.0.113.9');
    assert.equal(forwarded('10.0.0.1', [['x-forwarded-for', '1.2.3.4']], proxies), undefined);
  });
});
