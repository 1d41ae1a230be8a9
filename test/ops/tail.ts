/** The end of a single executable, as `scripts/package.mjs` writes it: the index and the footer. */
export function tailOf(json: string, length = Buffer.byteLength(json)): Buffer {
  const footer = Buffer.alloc(16);
  footer.writeUInt32LE(length, 0);
  footer.write('RNLTAIL1', 8, 'latin1');
  return Buffer.concat([Buffer.from(json), footer]);
}
