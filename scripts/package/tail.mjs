// What lies behind the ELF, as src/ops/assets.ts reads it: files on page boundaries, an index, a footer.
import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync, statSync } from 'node:fs';

const PAGE = 4096;

/** @param files pairs of a name and the path of a file, in their order. */
export function appendTail(executable, version, files) {
  const index = {};
  let end = statSync(executable).size;
  const append = (bytes) => {
    appendFileSync(executable, bytes);
    end += bytes.length;
  };
  for (const [name, path] of files) {
    append(Buffer.alloc((PAGE - (end % PAGE)) % PAGE));
    const bytes = readFileSync(path);
    index[name] = [end, bytes.length, createHash('sha256').update(bytes).digest('hex')];
    append(bytes);
  }
  const json = Buffer.from(JSON.stringify({ version, files: index }));
  const footer = Buffer.alloc(16);
  footer.writeUInt32LE(json.length, 0);
  footer.write('RNLTAIL1', 8, 'latin1');
  append(json);
  append(footer);
}
