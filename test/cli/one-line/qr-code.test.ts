/** QR codes as a reader of the field sees them: zbarimg, which shares no line with us. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type QrCode, qrCode } from '../../../src/cli/one-line/qr-code.ts';
import { drawQrCode, terminalTraits } from '../../../src/cli/one-line/qr-terminal.ts';
import { HAS_ZBAR, modulesOf, readQrCode } from '../../support/qr.ts';

const TEXTS = [
  'a',
  'http://10.0.0.1',
  'http://192.168.1.7:8080/',
  'https://[fd00:1234:5678:9abc::2]:65535/',
  ...Array.from({ length: 12 }, (_, at) => `https://board.lan:8443/${'x7'.repeat(at * 3)}/?size=${at}`),
  'x'.repeat(106),
];

test('a reader reads what was written', { skip: HAS_ZBAR ? false : 'zbarimg is not installed' }, () => {
  for (const text of TEXTS) {
    const code = qrCode(text);
    assert.ok(code !== undefined, text);
    assert.equal(readQrCode(code), text);
  }
});

test('the sizes of the standard: 21 modules, and four more for each version', () => {
  const sizes = [14, 15, 26, 27, 42, 43, 62, 63, 84, 85, 106].map((length) => qrCode('y'.repeat(length))?.length);
  assert.deepEqual(sizes, [21, 25, 25, 29, 29, 33, 33, 37, 37, 41, 41]);
  assert.equal(qrCode('y'.repeat(107)), undefined);
});

test('a damaged one is read all the same: level M corrects a seventh', {
  skip: HAS_ZBAR ? false : 'zbarimg is not installed',
}, () => {
  const code = qrCode('http://192.168.1.7:8080/') ?? [];
  const damaged: QrCode = code.map((line, row) =>
    line.map((dark, column) => (row > 10 && row < 14 && column > 10 && column < 16 ? !dark : dark)),
  );
  assert.equal(readQrCode(damaged), 'http://192.168.1.7:8080/');
});

for (const [name, traits] of [
  ['black on white, half blocks', { colour: true, blocks: true }],
  ['without colours, half blocks', { colour: false, blocks: true }],
  ['black on white, ASCII', { colour: true, blocks: false }],
  ['without colours, ASCII', { colour: false, blocks: false }],
] as const)
  test(`drawn for a terminal: ${name}`, () => {
    for (const text of ['http://192.168.1.7:8080/', 'a']) {
      const code = qrCode(text) ?? [];
      const lines = drawQrCode(code, traits);
      const drawn = modulesOf(lines, traits);
      assert.deepEqual(
        drawn.slice(2, 2 + code.length).map((line) => line.slice(2, -2)),
        code,
      );
      assert.equal(drawn.flat().filter(Boolean).length, code.flat().filter(Boolean).length, 'the rest is light');
    }
  });

const TRAITS: readonly [environment: NodeJS.ProcessEnv, terminal: boolean, colour: boolean, blocks: boolean][] = [
  [{}, true, true, true],
  [{ LANG: 'C' }, true, true, true],
  [{ LANG: 'de_DE.UTF-8' }, true, true, true],
  [{ LANG: 'de_DE.ISO-8859-1@euro' }, true, true, false],
  [{ LC_ALL: 'C.utf8', LANG: 'de_DE.ISO-8859-1' }, true, true, true],
  [{ NO_COLOR: '1' }, true, false, true],
  [{ TERM: 'dumb' }, true, false, true],
  [{}, false, false, true],
];

for (const [environment, terminal, colour, blocks] of TRAITS)
  test(`what a terminal can: ${JSON.stringify(environment)}${terminal ? '' : ', which is none'}`, () => {
    assert.deepEqual(terminalTraits(environment, terminal), { colour, blocks });
  });
