// What of the executables somebody else has compiled, and where the same file can be had from those who did.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { unpack } from './fetch.mjs';

export const NODE_DIST = process.env.RUNNEL_NODE_DIST ?? 'https://nodejs.org/dist';
export const UWS_GIT = process.env.RUNNEL_UWS_GIT ?? 'https://github.com/uNetworking/uWebSockets.js';

/** Node's own archive for a target, and the name of its folder. */
export function nodeArchive({ node }) {
  const folder = `node-v${node.version}-${node.package.replace(/^node-/, '')}`;
  return { folder, name: `${folder}.tar.gz`, base: `${NODE_DIST}/v${node.version}` };
}

export function sha256(content) {
  return createHash('sha256').update(content).digest('hex');
}

/** The name that git has for a file's content, whatever the file is called. */
export function gitBlob(content) {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

/** dist/ORIGINS: a line for each file as npm carries it, before anything is done to it. */
export function origins(targets, folder) {
  const nodes = targets.map((target) => {
    const { name, base } = nodeArchive(target);
    const content = readFileSync(unpack(target.node, 'bin/node', folder));
    return `${sha256(content)}  bin/node of ${target.node.package}@${target.node.version} on npm; must be that of ${base}/${name}\n`;
  });
  const addons = targets.map(({ uws }) => {
    const content = readFileSync(uws);
    return `${sha256(content)}  ${basename(uws)} of uws-pack on npm; git blob ${gitBlob(content)}, must be in ${UWS_GIT}\n`;
  });
  return [...nodes, ...addons].join('');
}
