// The files of a layer, by their paths, and the tar of them: the same bytes for the same files, whoever builds it and where.
import { Buffer } from 'node:buffer';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, posix } from 'node:path';

const BLOCK = 512;
const TYPES = { file: '0', link: '2', folder: '5' };

export class Tree {
  entries = new Map();

  /** Adds a file; the folders above it belong to root. `owner` is the number of its user and group. */
  file(path, content, { mode = 0o644, owner = 0 } = {}) {
    this.#add(path, { type: 'file', content: Buffer.from(content), mode, owner });
  }

  folder(path, { mode = 0o755, owner = 0 } = {}) {
    this.#add(path, { type: 'folder', content: Buffer.alloc(0), mode, owner });
  }

  link(path, target) {
    this.#add(path, { type: 'link', content: Buffer.alloc(0), mode: 0o777, owner: 0, target });
  }

  /** Adds what is at `source` on the disk, everything below it included. */
  copy(path, source) {
    const status = lstatSync(source);
    if (status.isSymbolicLink()) this.link(path, readlinkSync(source));
    else if (status.isDirectory())
      for (const name of readdirSync(source).sort()) this.copy(posix.join(path, name), join(source, name));
    else this.file(path, readFileSync(source), { mode: status.mode & 0o100 ? 0o755 : 0o644 });
  }

  #add(path, entry) {
    for (let above = posix.dirname(path); above !== '.'; above = posix.dirname(above)) {
      const there = this.entries.get(above);
      if (there === undefined) this.folder(above);
      else if (there.type !== 'folder') throw new Error(`${path} lies below ${above}, which is no folder`);
    }
    this.entries.set(path, entry);
  }

  /** The tar, each file with `time` (seconds). Its order is that of the paths, so a folder comes before what is in it. */
  *tar(time) {
    const paths = [...this.entries.keys()].sort();
    for (const path of paths) {
      const entry = this.entries.get(path);
      yield header(entry.type === 'folder' ? `${path}/` : path, entry, time);
      yield entry.content;
      yield Buffer.alloc((BLOCK - (entry.content.length % BLOCK)) % BLOCK);
    }
    yield Buffer.alloc(2 * BLOCK);
  }
}

/** Of ustar, which every tar reads. */
function header(path, { type, content, mode, owner, target = '' }, time) {
  const block = Buffer.alloc(BLOCK);
  const text = (value, offset, length) => {
    if (Buffer.byteLength(value) > length) throw new Error(`"${value}" is too long for a tar`);
    block.write(value, offset);
  };
  const octal = (value, offset, length) => text(value.toString(8).padStart(length - 1, '0'), offset, length - 1);
  text(path, 0, 100);
  octal(mode, 100, 8);
  octal(owner, 108, 8);
  octal(owner, 116, 8);
  octal(content.length, 124, 12);
  octal(time, 136, 12);
  block.fill(' ', 148, 156);
  text(TYPES[type], 156, 1);
  text(target, 157, 100);
  text('ustar\u000000', 257, 8);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return block;
}
