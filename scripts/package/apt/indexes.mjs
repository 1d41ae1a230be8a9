// What apt reads of a repository: an index of the packages for each processor, and the file that lists the indexes.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

export const ARCHITECTURES = ['amd64', 'arm64', 'armhf'];

/** The indexes of the pool below `folder`: `{architecture, text, files}`; the files are pairs of path below dists/stable and content. */
export function packageIndexes(folder) {
  return ARCHITECTURES.map((architecture) => {
    const text = scan(folder, architecture);
    const path = `main/binary-${architecture}/Packages`;
    return {
      architecture,
      text,
      files: [
        [path, Buffer.from(text)],
        // Without a name and a time inside, so that two builds are equal.
        [`${path}.gz`, gzipSync(text, { level: 9 })],
        [`${path}.xz`, execFileSync('xz', ['-6', '--threads=1', '--stdout'], { input: text, maxBuffer: 1 << 28 })],
      ],
    };
  });
}

function scan(folder, architecture) {
  const args = ['--multiversion', '--arch', architecture, 'pool'];
  const stdio = ['ignore', 'pipe', 'pipe'];
  try {
    return execFileSync('dpkg-scanpackages', args, { cwd: folder, encoding: 'utf8', stdio, maxBuffer: 1 << 28 });
  } catch (error) {
    throw new Error(error.code === 'ENOENT' ? 'dpkg-scanpackages is not installed (Debian: dpkg-dev)' : error.stderr);
  }
}

/**
 * The text of the file Release. It has no Valid-Until: a static repository is signed when there is something new, which may be months
 * apart, and a date would stop the updates of every board at its end. That nobody holds an update back is https's part.
 */
export function releaseFile(indexes, time) {
  const lines = indexes
    .flatMap(({ files }) => files)
    .map(([path, content]) => ` ${sha256(content)} ${content.length} ${path}`);
  return `Origin: runnel
Label: runnel
Suite: stable
Codename: stable
Date: ${time.toUTCString().replace('GMT', 'UTC')}
Architectures: ${ARCHITECTURES.join(' ')}
Components: main
Acquire-By-Hash: yes
Description: runnel, an edge gateway for small Linux boards
SHA256:
${lines.join('\n')}
`;
}

/** The time in the text of a file Release. */
export function timeOf(release) {
  return new Date(/^Date: (.*)$/m.exec(release)?.[1] ?? '');
}

/** The digests in the text of a file Release. */
export function digestsOf(release) {
  return [...release.matchAll(/^ ([0-9a-f]{64}) /gm)].map(([, digest]) => digest);
}

export function sha256(content) {
  return createHash('sha256').update(content).digest('hex');
}
