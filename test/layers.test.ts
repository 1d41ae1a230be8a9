/** The rules that keep the parts apart. Each failure names the file and what is wrong with it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** From the top to the bottom. A file may import from lower rows and from its own folder. */
const LAYERS: readonly (readonly string[])[] = [
  ['main'],
  ['cli'],
  ['gateway'],
  ['handlers'],
  ['stream'],
  ['programs'],
  ['http'],
  ['policy'],
  ['process', 'files', 'upstream'],
  ['engine'],
  ['config'],
  ['routing'],
  ['tls'],
  ['ops', 'ownership'],
  ['net'],
];
/** Code for the browser: a world of its own. */
const APART = ['browser'];

const MAX_LINES = 400;
/** Longer files, each with its reason. */
const LONGER: ReadonlyMap<string, string> = new Map([]);

const NATIVE = [
  { name: /^uWebSockets\.js$/, allowed: /^(engine\/uws\/[^/]*|ops\/addons\/addon)\.ts$/ },
  { name: /^(koffi|@koromix\/.*)$/, allowed: /^(ops\/addons\/addon|process\/posix\/[^/]*)\.ts$/ },
];

interface Import {
  readonly from: string;
  /** As written. */
  readonly specifier: string;
  /** Of our own files: the path below src. */
  readonly to: string | undefined;
}

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const source = join(root, 'src');

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .sort();
const text = new Map(files.map((file) => [file, readFileSync(join(source, file), 'utf8')]));

/** Import and export declarations (the formatter gives each its own line), `import()`, `require()` and `resolve()` of a literal. */
function importsOf(file: string, code: string): Import[] {
  const specifiers = [
    ...code.matchAll(/^(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'/gm),
    ...code.matchAll(/^import\s*'([^']+)'/gm),
    ...code.matchAll(/\b(?:import|require|resolve)\(\s*['"`]([^'"`]+)['"`]/g),
  ].map((match) => match[1] ?? '');
  return specifiers.map((specifier) => ({
    from: file,
    specifier,
    to: specifier.startsWith('.') ? relative(source, join(source, dirname(file), specifier)) : undefined,
  }));
}

const imports = [...text].flatMap(([file, code]) => importsOf(file, code));

/** The folder below src; a file directly in src stands for itself. */
function partOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : file.replace(/\.ts$/, '');
}

function layerOf(file: string): number {
  return LAYERS.findIndex((parts) => parts.includes(partOf(file)));
}

test('there is something to look at', () => {
  assert.ok(files.includes('engine/engine.ts'));
  assert.ok(imports.some(({ from, to }) => from === 'ops/addons/addon.ts' && to === 'ops/assets.ts'));
  assert.ok(imports.some(({ from, specifier }) => from === 'ops/addons/addon.ts' && specifier === 'uWebSockets.js'));
});

test('every folder has its layer', () => {
  assert.deepEqual(
    files.filter((file) => layerOf(file) === -1 && !APART.includes(partOf(file))),
    [],
  );
});

test('imports of our own files exist and end in .ts', () => {
  const wrong = imports.filter(({ to }) => to !== undefined && (!to.endsWith('.ts') || !existsSync(join(source, to))));
  assert.deepEqual(wrong.map(describe), []);
});

test('imports point downwards', () => {
  const wrong = imports.filter(({ from, to }) => {
    if (to === undefined || partOf(from) === partOf(to)) return false;
    return APART.includes(partOf(from)) || APART.includes(partOf(to)) || layerOf(to) <= layerOf(from);
  });
  assert.deepEqual(wrong.map(describe), []);
});

test('no file imports itself by a detour', () => {
  assert.deepEqual(cycles(), []);
});

test('native modules are known to few', () => {
  const wrong = imports.filter(({ from, specifier }) =>
    NATIVE.some(({ name, allowed }) => name.test(specifier) && !allowed.test(from)),
  );
  assert.deepEqual(wrong.map(describe), []);
});

test(`files have at most ${MAX_LINES} lines`, () => {
  const long = [...text]
    .map(([file, code]) => ({ file, lines: code.split('\n').length - 1 }))
    .filter(({ file, lines }) => lines > MAX_LINES && !LONGER.has(file));
  assert.deepEqual(long, []);
  assert.deepEqual(
    [...LONGER.keys()].filter((file) => !text.has(file)),
    [],
    'files in the list of longer ones that are not there',
  );
});

test('no module has state that changes', () => {
  const found = [...text]
    .filter(([file]) => !APART.includes(partOf(file)))
    .flatMap(([file, code]) =>
      [...code.matchAll(/^(?:export )?(?:let|var) .*$/gm)].map((match) => `${file}: ${match[0]}`),
    );
  assert.deepEqual(found, []);
});

function describe({ from, specifier }: Import): string {
  return `${from} imports ${specifier}`;
}

/** Every way from a file back to itself, once each, written as "a → b → a". */
function cycles(): string[] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of imports) if (to !== undefined) targets.set(from, [...(targets.get(from) ?? []), to]);
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start !== -1) found.push([...path.slice(start), file].join(' \u2192 '));
    if (start !== -1 || done.has(file)) return;
    for (const target of targets.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return found;
}
