/** Reads QR codes with zbarimg, and those that were drawn for a terminal. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Modules = readonly (readonly boolean[])[];

export const HAS_ZBAR = spawnSync('zbarimg', ['--version']).status === 0;

/** Pixels of a module. */
const SCALE = 6;
/** Modules of light around. */
const QUIET = 4;

/** What zbarimg reads. Throws for what it does not take for a code. */
export function readQrCode(code: Modules): string {
  const size = (code.length + 2 * QUIET) * SCALE;
  const pixels = Buffer.alloc(size * size, 255);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const [row, column] = [y, x].map((at) => Math.floor(at / SCALE) - QUIET);
      if (code[row ?? -1]?.[column ?? -1] === true) pixels[y * size + x] = 0;
    }
  const folder = mkdtempSync(join(tmpdir(), 'runnel-test-qr-'));
  try {
    const file = join(folder, 'code.pgm');
    writeFileSync(file, Buffer.concat([Buffer.from(`P5\n${size} ${size}\n255\n`), pixels]));
    const { status, stdout, stderr } = spawnSync('zbarimg', ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', file]);
    if (status !== 0) throw new Error(`zbarimg: ${stderr.toString() || 'no code found'}`);
    return stdout.toString().replace(/\n$/, '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The modules that a terminal shows. */
export function modulesOf(
  lines: readonly string[],
  traits: { readonly colour: boolean; readonly blocks: boolean },
): Modules {
  // Printed is dark where there are colours, and light where there are none.
  const dark = (printed: boolean): boolean => printed === traits.colour;
  const plain = lines.map((line) => line.replace(/\x1b\[[\d;]*m/g, ''));
  if (!traits.blocks) return plain.map((line) => (line.match(/../g) ?? []).map((two) => dark(two === '##')));
  return plain.flatMap((line) => [
    [...line].map((character) => dark('█▀'.includes(character))),
    [...line].map((character) => dark('█▄'.includes(character))),
  ]);
}
