import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, test } from 'node:test';
import { addressBytes, addressFamily, addressText, hostNumber, readAddress, UNIX_PEER } from '../../src/net/address.ts';

describe('an address out of its bytes', () => {
  const v6 = (...groups: number[]) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
  const ROWS: readonly (readonly [Uint8Array, string])[] = [
    [Uint8Array.from([]), ''],
    [Uint8Array.from([127, 0, 0, 1]), '127.0.0.1'],
    [v6(0, 0, 0, 0, 0, 0xffff, 0x7f00, 1), '127.0.0.1'],
    [v6(0, 0, 0, 0, 0, 0, 0, 0), '::'],
    [v6(0, 0, 0, 0, 0, 0, 0, 1), '::1'],
    [v6(0xfe80, 0, 0, 0, 0x1234, 0, 0, 0xa), 'fe80::1234:0:0:a'],
    [v6(1, 0, 3, 0, 0, 6, 0, 0), '1:0:3::6:0:0'],
    [v6(1, 0, 3, 4, 5, 6, 7, 8), '1:0:3:4:5:6:7:8'],
    [v6(1, 2, 3, 4, 5, 6, 0, 0), '1:2:3:4:5:6::'],
  ];
  for (const [bytes, expected] of ROWS) test(`"${expected}"`, () => assert.equal(addressText(bytes), expected));
});

describe('one form for each address, whatever its spelling', () => {
  const ROWS: readonly (readonly [form: string | undefined, ...spellings: string[]])[] = [
    ['10.0.0.1', '10.0.0.1', '::ffff:10.0.0.1', '::FFFF:a00:1', '0:0:0:0:0:ffff:0a00:0001', '::ffff:10.0.0.1%eth0'],
    ['fe80::1', 'fe80::1', 'FE80::1', 'fe80:0::0:1', 'fe80::1%eth0', 'fe80::1%25', 'fe80::1%', 'fe80::0.0.0.1'],
    ['::', '::', '0::0', '::0.0.0.0'],
    ['::1', '::1', '::0.0.0.1'],
    ['2001:db8::', '2001:db8::', '2001:0DB8::'],
    [
      undefined,
      '',
      'unix',
      'board',
      '10.0.0',
      '010.0.0.1',
      '10.0.0.1%eth0',
      '10.0.0.256',
      '::1::',
      ':',
      '%eth0',
      '[::1]',
      '1',
    ],
  ];
  for (const [form, ...spellings] of ROWS)
    for (const spelling of spellings)
      test(`"${spelling}"`, () => {
        assert.equal(readAddress(spelling), form);
        assert.deepEqual(addressBytes(spelling), form === undefined ? undefined : addressBytes(form));
      });
});

test('a program is told no address of the peer of a Unix socket', () => {
  assert.equal(hostNumber(UNIX_PEER), '');
  assert.equal(hostNumber('10.0.0.1'), '10.0.0.1');
});

test('what an address is, Node says as well', () => {
  const pieces = [
    '',
    ':',
    '::',
    '1',
    'ffff',
    '0',
    'g',
    '12345',
    '1.2.3.4',
    '256.1.1.1',
    '.',
    'F:',
    ':a',
    '1:2:3',
    '%',
    ' ',
  ];
  let addresses = 0;
  const compare = (text: string): void => {
    // With a zone it is one to Node.
    const wanted = text.includes('%') ? 0 : isIP(text);
    assert.equal(addressFamily(text), wanted, JSON.stringify(text));
    if (wanted === 6) addresses++;
  };
  for (const one of pieces)
    for (const two of pieces) for (const three of pieces) for (const four of pieces) compare(one + two + three + four);
  for (let count = 1; count <= 10; count++) {
    const groups = Array.from({ length: count }, (_, at) => at.toString(16));
    compare(groups.join(':'));
    compare(`${groups.join(':')}:1.2.3.4`);
    for (let at = 0; at <= count; at++) {
      for (const end of ['', '1.2.3.4', ':1.2.3.4', ':']) {
        const gapped = `${groups.slice(0, at).join(':')}::${groups.slice(at).join(':')}`;
        compare(gapped + end);
        compare(end + gapped);
      }
    }
  }
  assert.ok(addresses > 500, String(addresses));
});
