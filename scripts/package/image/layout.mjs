// An image layout of OCI in a folder: blobs that are named by their digests, and a list that says where to begin.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const TYPE = 'application/vnd.oci.image';

export class Layout {
  #folder;
  #blobs;

  /** Whatever is in `folder` is replaced. */
  constructor(folder) {
    this.#folder = folder;
    this.#blobs = join(folder, 'blobs/sha256');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(this.#blobs, { recursive: true });
    writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  }

  /** Adds a layer. Answers with its descriptor and with `diff`, the digest of its tar. */
  layer(tree, time) {
    const tar = join(this.#folder, 'layer.tar');
    const plain = createHash('sha256');
    const descriptor = openSync(tar, 'w');
    for (const piece of tree.tar(time)) {
      plain.update(piece);
      writeSync(descriptor, piece);
    }
    closeSync(descriptor);
    compress(tar);
    const content = readFileSync(`${tar}.gz`);
    const hash = digest(content);
    renameSync(`${tar}.gz`, join(this.#blobs, hash));
    rmSync(tar);
    const described = { mediaType: `${TYPE}.layer.v1.tar+gzip`, digest: `sha256:${hash}`, size: content.length };
    return { descriptor: described, diff: `sha256:${plain.digest('hex')}` };
  }

  /** Adds JSON of a kind (config, manifest, index). Answers with its descriptor. */
  json(kind, value) {
    const content = JSON.stringify(value);
    const hash = digest(content);
    writeFileSync(join(this.#blobs, hash), content);
    return { mediaType: `${TYPE}.${kind}.v1+json`, digest: `sha256:${hash}`, size: content.length };
  }

  /** Writes where to begin. */
  begin(descriptor) {
    writeFileSync(join(this.#folder, 'index.json'), JSON.stringify(indexOf([descriptor])));
  }
}

export function indexOf(manifests) {
  return { schemaVersion: 2, mediaType: `${TYPE}.index.v1+json`, manifests };
}

/** gzip, because every engine reads it; by libdeflate, which makes it a twentieth smaller than gzip's own in less time. Without name and time. */
function compress(file) {
  try {
    execFileSync('libdeflate-gzip', ['-10', '-n', '-k', file], { stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (error) {
    throw error.code === 'ENOENT' ? new Error('libdeflate-gzip is not installed (Debian: libdeflate-tools)') : error;
  }
}

function digest(content) {
  return createHash('sha256').update(content).digest('hex');
}
