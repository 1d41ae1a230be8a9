import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientHello, MAX_HELLO, readClientHello } from '../../../src/engine/door/client-hello.ts';
import { HELLO_NAMES, recordedHello } from './hellos.ts';
import { extension, helloBytes, list, records } from './made-hello.ts';

function read(bytes: Buffer): ClientHello {
  const hello = readClientHello(bytes, bytes.length);
  assert(typeof hello === 'object');
  return hello;
}

test('what real clients offer', () => {
  const facts = HELLO_NAMES.map((name) => {
    const { versions, serverName = '-', protocols } = read(recordedHello(name));
    const known = versions.filter((version) => version >= 0x0301 && version <= 0x0304);
    return [name, known.map((version) => version.toString(16)).join(' '), serverName, protocols.join(' ')].join(', ');
  });
  assert.deepEqual(facts, [
    'openssl, 304 303 302 301, board.test, ',
    'openssl12, 303, -, ',
    'openssl13, 304, -, h2 http/1.1',
    'tls10, 301, -, ',
    'dhe, 303, -, ',
    'cbc, 303, -, ',
    'onlyHttp2, 304 303 302 301, -, h2',
    'smallFragments, 304 303 302 301, -, ',
    'fallback, 303, -, ',
    'x448, 304, -, ',
    'curl, 304 303 302 301, -, h2 http/1.1',
    'node, 304 303, node.test, ',
    'python, 304 303, py.test, ',
    'chromium, 304 303, -, h2 http/1.1',
  ]);
});

test('suites, groups and signatures are the client’s, in its order', () => {
  const hello = read(recordedHello('openssl13'));
  assert.deepEqual(hello.suites, [0x1302, 0x1303, 0x1301, 0xff]);
  assert.deepEqual(hello.groups.slice(0, 3), [29, 23, 30]);
  assert.deepEqual(hello.signatures.slice(0, 3), [0x0403, 0x0503, 0x0603]);
  assert.deepEqual(hello.compressions, [0]);
});

test('every beginning of a hello asks for more, and what follows a whole one is not looked at', () => {
  for (const name of HELLO_NAMES) {
    const bytes = recordedHello(name);
    // What lies behind the length is another connection's.
    const used = Buffer.concat([bytes, Buffer.alloc(40, 0xff)]);
    for (let length = 0; length < bytes.length; length++)
      assert.equal(readClientHello(used, length), 'more', `${name}, ${length} bytes`);
    assert.deepEqual(readClientHello(used, used.length), read(bytes), name);
  }
});

test('a hello may lie in several records, cut anywhere', () => {
  for (const name of ['openssl', 'chromium'] as const) {
    const bytes = recordedHello(name);
    const message = bytes.subarray(5);
    for (const size of [1, 2, 3, 4, 5, 100, message.length - 1]) {
      const parts = records(message, size);
      assert.deepEqual(readClientHello(parts, parts.length), read(bytes), `${name} by ${size}`);
      for (let length = 0; length < parts.length; length += 7)
        assert.equal(readClientHello(parts, length), 'more', `${name} by ${size}, ${length} bytes`);
    }
  }
});

test('what is no hello is told by its first wrong byte', () => {
  const right = recordedHello('openssl');
  const cases: readonly (readonly [name: string, at: number, byte: number])[] = [
    ['an alert', 0, 21],
    ['plain HTTP', 0, 0x47],
    ['another protocol', 1, 2],
    ['another message', 5, 2],
  ];
  for (const [name, at, byte] of cases) {
    const bytes = Buffer.from(right);
    bytes[at] = byte;
    assert.equal(readClientHello(bytes, at + 1), undefined, name);
    assert.equal(readClientHello(bytes, bytes.length), undefined, name);
  }
  const sslv2 = Buffer.from('802e0100020015000000100100800200800300800400800500800600400700c0', 'hex');
  assert.equal(readClientHello(sslv2, sslv2.length), undefined);
});

test('lengths are strict, and each extension comes once', () => {
  const name = list(2, Buffer.concat([Buffer.from([0]), list(2, Buffer.from('board.test'))]));
  const cases: Readonly<Record<string, Buffer>> = {
    'a byte behind the extensions': helloBytes({ behind: Buffer.from([0]) }),
    'half a suite': helloBytes({ suites: Buffer.from([0x13, 0x01, 0x13]) }),
    'no suite': helloBytes({ suites: Buffer.alloc(0) }),
    'no compression': helloBytes({ compressions: Buffer.alloc(0) }),
    'a session of 33 bytes': helloBytes({ session: Buffer.alloc(33) }),
    'an extension twice': helloBytes({ extensions: [extension(0, name), extension(0, name)] }),
    'another one behind pre_shared_key': helloBytes({ extensions: [extension(41, name), extension(0, name)] }),
    'an extension that is cut': helloBytes({ extensions: [extension(0, name).subarray(0, -1)] }),
    'a name and a byte': helloBytes({ extensions: [extension(0, Buffer.concat([name, Buffer.from([0])]))] }),
    'an empty list of names': helloBytes({ extensions: [extension(0, list(2, Buffer.alloc(0)))] }),
    'two names': helloBytes({
      extensions: [extension(0, list(2, Buffer.concat([name.subarray(2), name.subarray(2)])))],
    }),
    'an empty protocol': helloBytes({ extensions: [extension(16, list(2, Buffer.from([0])))] }),
    'no protocol': helloBytes({ extensions: [extension(16, list(2, Buffer.alloc(0)))] }),
    'no version': helloBytes({ extensions: [extension(43, list(1, Buffer.alloc(0)))] }),
    'half a group': helloBytes({ extensions: [extension(10, list(2, Buffer.from([0, 29, 0])))] }),
    'an empty record': records(recordedHello('openssl').subarray(5), 300, 0),
    'a record that is too large': Buffer.from([22, 3, 1, 0x40, 1, 1, 0, 0, 0x10]),
  };
  for (const [what, bytes] of Object.entries(cases))
    assert.equal(readClientHello(bytes, bytes.length), undefined, what);
});

test('without extensions a hello is that of an old client', () => {
  const bytes = helloBytes({ extensions: undefined });
  const { versions, groups, protocols, pointFormats, serverName } = read(bytes);
  assert.deepEqual([versions, groups, protocols, pointFormats, serverName], [[0x0303], [], [], [0], undefined]);
});

test('one that is larger than 16 KiB is not waited for', () => {
  const padding = (size: number): Buffer => helloBytes({ extensions: [extension(21, Buffer.alloc(size))] });
  const large = padding(15_000);
  assert(large.length < MAX_HELLO);
  assert.equal(readClientHello(large, 1000), 'more');
  assert.equal(typeof readClientHello(large, large.length), 'object');
  const tooLarge = records(padding(17_000).subarray(5), 4000);
  assert.equal(readClientHello(tooLarge, 1000), undefined);
  // It fits, but its records do not.
  const inBytes = records(padding(12_000).subarray(5), 1);
  assert.equal(readClientHello(inBytes, MAX_HELLO - 1), 'more');
  assert.equal(readClientHello(inBytes, MAX_HELLO), undefined);
});
