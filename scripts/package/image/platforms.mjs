// Prints for which processors an image layout is, a line each: architecture/variant.
//
//   node scripts/package/image/platforms.mjs LAYOUT
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const layout = process.argv[2];
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
const [whole] = read(join(layout, 'index.json')).manifests;
const { manifests } = read(join(layout, 'blobs/sha256', whole.digest.replace('sha256:', '')));
for (const { platform } of manifests) console.log(`${platform.architecture}/${platform.variant ?? ''}`);
