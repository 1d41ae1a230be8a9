import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readPreface } from '../../../src/engine/door/proxy-preface.ts';
import { block, tlv } from '../../support/preface.ts';

type Wanted = string | { readonly client: readonly [address: string, port: number, secure?: boolean] | undefined };

const UNKNOWN = { client: undefined };
const four = [192, 0, 2, 1, 198, 51, 100, 9, 0xc3, 0x50, 0x01, 0xbb];
const six = [...v6(0x20, 0x01, 0x0d, 0xb8), ...v6(0xfd), 0, 80, 0, 81];
const mapped = [...new Array<number>(10).fill(0), 255, 255, 192, 0, 2, 1, ...v6(0xfd), 0, 80, 0, 81];

function v6(...start: number[]): number[] {
  return [...start, ...new Array<number>(15 - start.length).fill(0), 1];
}

const LINES: readonly (readonly [line: string, wanted: Wanted])[] = [
  ['PROXY TCP4 192.0.2.1 198.51.100.9 50000 443\r\n', { client: ['192.0.2.1', 50000] }],
  ['PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n', { client: ['255.255.255.255', 65535] }],
  ['PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n', { client: ['0.0.0.0', 0] }],
  ['PROXY TCP6 2001:db8::1 fd00::1 80 81\r\n', { client: ['2001:db8::1', 80] }],
  ['PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0001 fd00::1 80 81\r\n', { client: ['2001:db8::1', 80] }],
  ['PROXY TCP6 ::ffff:192.0.2.1 ::1 80 81\r\n', { client: ['192.0.2.1', 80] }],
  ['PROXY UNKNOWN\r\n', UNKNOWN],
  ['PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n', UNKNOWN],
  [`PROXY UNKNOWN ${'x'.repeat(107 - 16)}\r\n`, UNKNOWN],
  [`PROXY UNKNOWN ${'x'.repeat(107 - 15)}\r\n`, 'longer than 107'],
  [`PROXY TCP4 ${'1'.repeat(200)}`, 'longer than 107'],
  ['PROXY UNKNOWNX\r\n', 'a malformed PROXY line'],
  ['PROXY \r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.1 198.51.100.9 50000 443\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.1 198.51.100.9 50000 443 \r\n', 'a malformed PROXY line'],
  ['PROXY TCP4  192.0.2.1 198.51.100.9 50000 443\r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.1 198.51.100.9 50000\r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.1 198.51.100.9 65536 443\r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.1 198.51.100.9 50000 70000\r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.1 198.51.100.9 050 443\r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.1 198.51.100.9 -1 443\r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.01 198.51.100.9 50000 443\r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.256 198.51.100.9 50000 443\r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.1 board 50000 443\r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 ::1 ::1 50000 443\r\n', 'a malformed PROXY line'],
  ['PROXY TCP6 192.0.2.1 192.0.2.1 50000 443\r\n', 'a malformed PROXY line'],
  ['PROXY TCP6 fe80::1%eth0 ::1 50000 443\r\n', 'a malformed PROXY line'],
  ['PROXY UDP4 192.0.2.1 198.51.100.9 50000 443\r\n', 'a malformed PROXY line'],
  ['PROXY TCP4 192.0.2.1\r 198.51.100.9 50000 443\r\n', 'a malformed PROXY line'],
  ['proxy tcp4 192.0.2.1 198.51.100.9 50000 443\r\n', 'no PROXY preface'],
  ['GET / HTTP/1.1\r\n', 'no PROXY preface'],
  ['PRI * HTTP/2.0\r\n', 'no PROXY preface'],
  ['\x16\x03\x01\x02\x00\x01', 'no PROXY preface'],
  ['\r\n\r\nGET / HTTP/1.1\r\n', 'no PROXY preface'],
  [' PROXY UNKNOWN\r\n', 'no PROXY preface'],
];

const SSL = (flags: number): number[] => tlv(0x20, [flags, 0, 0, 0, 0, ...tlv(0x21, [...Buffer.from('TLSv1.3')])]);

const BLOCKS: readonly (readonly [what: string, bytes: Buffer, wanted: Wanted])[] = [
  ['TCP over IPv4', block(0x21, 0x11, four), { client: ['192.0.2.1', 50000] }],
  ['TCP over IPv6', block(0x21, 0x21, six), { client: ['2001:db8::1', 80] }],
  ['an IPv4 address within IPv6', block(0x21, 0x21, mapped), { client: ['192.0.2.1', 80] }],
  ['TLVs', block(0x21, 0x11, [...four, ...tlv(4, []), ...tlv(1, [104, 50])]), { client: ['192.0.2.1', 50000] }],
  ['TLS to the proxy', block(0x21, 0x11, [...four, ...SSL(1)]), { client: ['192.0.2.1', 50000, true] }],
  ['no TLS to the proxy', block(0x21, 0x11, [...four, ...SSL(0)]), { client: ['192.0.2.1', 50000] }],
  ['an empty TLV about TLS', block(0x21, 0x11, [...four, ...tlv(0x20, [])]), { client: ['192.0.2.1', 50000] }],
  ['LOCAL', block(0x20, 0x00, []), UNKNOWN],
  ['LOCAL with addresses', block(0x20, 0x11, four), UNKNOWN],
  ['LOCAL with a family that there is not, and rubbish', block(0x20, 0xff, [1, 2, 3]), UNKNOWN],
  ['UNSPEC', block(0x21, 0x00, []), UNKNOWN],
  ['UNSPEC with rubbish', block(0x21, 0x00, [1, 2, 3]), UNKNOWN],
  ['a Unix socket', block(0x21, 0x31, new Array<number>(216).fill(47)), UNKNOWN],
  [
    'as long as may be',
    block(0x21, 0x11, [...four, ...tlv(4, new Array<number>(4096 - 16 - 15).fill(0))]),
    { client: ['192.0.2.1', 50000] },
  ],
  [
    'a byte longer',
    block(0x21, 0x11, [...four, ...tlv(4, new Array<number>(4096 - 16 - 14).fill(0))]),
    'longer than 4096',
  ],
  [
    '65,535 bytes announced',
    Buffer.concat([block(0x21, 0x11, []).subarray(0, 14), Buffer.from([255, 255])]),
    'longer than 4096',
  ],
  ['version 1 in the form of 2', block(0x11, 0x11, four), 'an unknown version'],
  ['version 3', block(0x31, 0x11, four), 'an unknown version'],
  ['another command', block(0x22, 0x11, four), 'or command'],
  ['UDP', block(0x21, 0x12, four), 'a connection that is not TCP'],
  ['a datagram socket', block(0x21, 0x32, new Array<number>(216).fill(0)), 'a connection that is not TCP'],
  ['a family that there is not', block(0x21, 0x41, four), 'a connection that is not TCP'],
  ['half an address', block(0x21, 0x11, four.slice(0, 11)), 'shorter than'],
  ['IPv6 with the length of IPv4', block(0x21, 0x21, four), 'shorter than'],
  ['a Unix socket without its path', block(0x21, 0x31, [47]), 'shorter than'],
  ['a TLV that is cut off', block(0x21, 0x11, [...four, 4, 0, 9, 1]), 'shorter than'],
  ['half a head of a TLV', block(0x21, 0x11, [...four, 4, 0]), 'shorter than'],
  ['a signature with another end', Buffer.from('\r\n\r\n\0\r\nQUIX\n', 'latin1'), 'no PROXY preface'],
];

function check(bytes: Buffer, wanted: Wanted): void {
  const said = readPreface(bytes);
  if (typeof wanted === 'string') {
    assert(said.state === 'malformed', said.state);
    assert(said.reason.includes(wanted), said.reason);
    return;
  }
  assert(said.state === 'complete', JSON.stringify(said));
  const client = wanted.client && {
    address: wanted.client[0],
    port: wanted.client[1],
    secure: wanted.client[2] ?? false,
  };
  assert.deepEqual(said, { state: 'complete', length: bytes.length, client });
  // What follows is none of its business, and nothing is decided before all of it is there.
  assert.deepEqual(readPreface(Buffer.concat([bytes, Buffer.from('PROXY \r\n\r\n\0GET / ')])), said);
  for (let cut = 0; cut < bytes.length; cut++)
    assert.deepEqual(readPreface(bytes.subarray(0, cut)), { state: 'incomplete' }, `after ${cut} bytes`);
}

describe('the PROXY preface, version 1', () => {
  for (const [line, wanted] of LINES)
    test(JSON.stringify(line.slice(0, 70)), () => check(Buffer.from(line, 'latin1'), wanted));
});

describe('the PROXY preface, version 2', () => {
  for (const [what, bytes, wanted] of BLOCKS) test(what, () => check(bytes, wanted));
});

test('what is none is known by its first wrong byte', () => {
  for (const text of ['G', 'PROXZ', '\r\n\r\n\r', 'PROXY\r'])
    assert.equal(readPreface(Buffer.from(text, 'latin1')).state, 'malformed', JSON.stringify(text));
});
