// dist/SHA256SUMS, as sha256sum -c reads it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from './origins.mjs';

const SUMS = 'dist/SHA256SUMS';

/** The lines of a former run. */
export function formerSums() {
  return existsSync(SUMS)
    ? readFileSync(SUMS, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];
}

/** Writes the sums of `files` below dist, behind the lines of `kept` that are about others. */
export function writeSums(files, kept) {
  const others = kept.filter((line) => !files.some((file) => line.endsWith(`  ${file}`)));
  const lines = files.map((file) => `${sha256(readFileSync(join('dist', file)))}  ${file}`);
  writeFileSync(SUMS, [...others, ...lines].map((line) => `${line}\n`).join(''));
}
