// What is inside of the executables: a bill of materials (CycloneDX) and the licences of all of it.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;

/** The npm packages whose code is in a bundle, by esbuild's list of its inputs: paths such as "node_modules/ws", in order. */
export function bundledPackages(metafile) {
  const found = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match !== null) found.add(match[1]);
  }
  return [...found].sort();
}

/**
 * CycloneDX 1.6 as JSON. Not by `npm sbom`: that lists what the lock file could install (koffi's add-ons for every system, and the parts
 * of packages that no bundle has), knows nothing of Node itself nor of what uws-pack repacks, and writes a serial number and the time, so
 * that no two builds are equal.
 *
 * `nodes` are rows of targets with the licence text of their Node; `packages` paths of the lock file. */
export function billOfMaterials(version, nodes, packages) {
  const components = [
    ...nodes.map(({ node }) => component(node.package, node.version, 'platform', node.integrity, 'MIT')),
    // Repacked by uws-pack, which only names itself.
    uwsComponent(),
    ...packages.map((path) => {
      const { version: own, integrity, license, name } = lock[path];
      return component(name ?? packageName(path), own, 'library', integrity, license);
    }),
  ];
  const main = { type: 'application', 'bom-ref': `pkg:npm/runnel@${version}`, name: 'runnel', version };
  const bill = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    // No serial number and no time, so that two builds are equal.
    version: 1,
    metadata: { component: { ...main, licenses: [{ license: { id: 'MIT' } }] } },
    components,
    dependencies: [{ ref: main['bom-ref'], dependsOn: components.map((one) => one['bom-ref']) }],
  };
  return `${JSON.stringify(bill, undefined, 2)}\n`;
}

function uwsComponent() {
  const { version } = lock['node_modules/uWebSockets.js'];
  const purl = `pkg:github/uNetworking/uWebSockets.js@v${version}`;
  return {
    type: 'library',
    'bom-ref': purl,
    name: 'uWebSockets.js',
    version,
    purl,
    licenses: [{ license: { id: 'Apache-2.0' } }],
  };
}

function component(name, version, type, integrity, license) {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const digest = Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex');
  return {
    type,
    'bom-ref': purl,
    name,
    version,
    purl,
    hashes: [{ alg: 'SHA-512', content: digest }],
    licenses: [{ license: { id: license } }],
  };
}

/** Every licence text, each once, under the names of all that it is for. */
export function licences(nodes, packages) {
  const texts = new Map();
  const add = (name, text) => {
    const key = createHash('sha256').update(text).digest('hex');
    const known = texts.get(key);
    if (known === undefined) texts.set(key, { names: [name], text });
    else known.names.push(name);
  };
  for (const path of packages) {
    const { version, license, name } = lock[path];
    add(`${name ?? packageName(path)} ${version} (${license})`, licenceText(path));
  }
  add('What the add-on of uWebSockets.js is made of', readFileSync('scripts/package/uws-licences.txt', 'utf8'));
  for (const { node, licence } of nodes)
    add(`Node.js ${node.version} (MIT, and what is inside of it), ${node.package}`, licence);
  const rule = '='.repeat(100);
  const parts = [...texts.values()].map(
    ({ names, text }) => `${rule}\n${names.join('\n')}\n${rule}\n\n${text.trim()}\n`,
  );
  const own = readFileSync('LICENSE', 'utf8');
  return `What is inside of the single executable of runnel, and its licences.\n\n${rule}\nrunnel itself\n${rule}\n\n${own.trim()}\n\n\n${parts.join('\n\n')}`;
}

/** A package's own text. Packages with one processor's add-on have none of their own: theirs is the one of the package that asks for them. */
function licenceText(path) {
  const folder = /\/@koromix\/koffi-/.test(path) ? 'node_modules/koffi' : path;
  const file = existsSync(folder) ? readdirSync(folder).find((name) => /^licen[cs]e(\.|$)/i.test(name)) : undefined;
  if (file === undefined) throw new Error(`${folder} has no licence file`);
  return readFileSync(join(folder, file), 'utf8');
}

function packageName(path) {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}
