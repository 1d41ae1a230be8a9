/** The rules that keep the parts apart. Each failure names the file and what is wrong with it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/**
 * For each folder that has an order: its parts from the top to the bottom. A part is a folder or a file in it; `REST` stands for all
 * that are not named. A file may import from lower rows and from its own part; the rest may import one another.
 */
const REST = '*';
const ORDER: { readonly [folder: string]: readonly (readonly string[])[] } = {
  '': [
    ['main'],
    ['cli'],
    ['client'],
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
  ],
  cli: [['verbs'], ['doctor'], ['check', 'tls', 'websocketd'], [REST]],
  client: [['client'], ['session'], ['ways'], ['transports'], ['dialing'], [REST]],
  engine: [['choose'], ['door'], ['uws', 'node'], [REST]],
  handlers: [['kinds'], ['own'], [REST], ['cgi']],
  'stream/sources': [['sources'], ['subscribe'], ['poll', 'folder'], ['program', 'connect'], [REST]],
  tls: [['making', 'judging'], ['serving'], [REST]],
  ops: [['memory', 'addons'], [REST]],
};
/** Rooms of one row that must not know each other: what joins them is a third. */
const STRANGERS: readonly (readonly [from: string, to: string])[] = [
  ['stream/sources/', 'stream/clients/'],
  ['stream/sources/', 'stream/channel/'],
  ['stream/clients/', 'stream/sources/'],
  ['stream/history/', 'stream/sources/'],
  ['stream/history/', 'stream/clients/'],
  ['handlers/static/', 'handlers/cgi/'],
];
/** Code for the browser: a world of its own. */
const APART = ['browser'];

/** More is a smell: what is in it has no room of its own yet. */
const MAX_ENTRIES = 15;
const MAX_LINES = 400;
/** Longer files, each with its reason. */
const LONGER: ReadonlyMap<string, string> = new Map([]);

const NATIVE = [
  { name: /^uWebSockets\.js$/, allowed: /^(engine\/uws\/[^/]*|ops\/addons\/addon)\.ts$/ },
  { name: /^(koffi|@koromix\/.*)$/, allowed: /^(ops\/addons\/addon|process\/posix\/[^/]*)\.ts$/ },
  // Not native but not public: what is inside of it may change with any version.
  { name: /^toml(\/.*)?$/, allowed: /^config\/reading\/toml-tree\.ts$/ },
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

/** What of `folder` a file belongs to: a folder in it, or the file itself. Undefined for a file elsewhere. */
function partOf(file: string, folder = ''): string | undefined {
  const inside = folder === '' ? file : `${folder}/`;
  if (folder !== '' && !file.startsWith(inside)) return undefined;
  const path = folder === '' ? file : file.slice(inside.length);
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path.replace(/\.ts$/, '');
}

/** The row of a part; -1 where there is none for it. */
function rowOf(part: string, rows: readonly (readonly string[])[]): number {
  const own = rows.findIndex((parts) => parts.includes(part));
  return own === -1 ? rows.findIndex((parts) => parts.includes(REST)) : own;
}

test('there is something to look at', () => {
  assert.ok(files.includes('engine/engine.ts'));
  assert.ok(imports.some(({ from, to }) => from === 'ops/addons/addon.ts' && to === 'ops/assets.ts'));
  assert.ok(imports.some(({ from, specifier }) => from === 'ops/addons/addon.ts' && specifier === 'uWebSockets.js'));
});

test('every folder has its layer', () => {
  assert.deepEqual(
    files.filter((file) => rowOf(partOf(file) ?? '', ORDER[''] ?? []) === -1 && !isApart(file)),
    [],
  );
  const known = new Set(files.flatMap((file) => foldersOf(file).map((folder) => `${folder}:${partOf(file, folder)}`)));
  const lost = Object.entries(ORDER).flatMap(([folder, rows]) =>
    rows.flat().filter((part) => part !== REST && !known.has(`${folder}:${part}`)),
  );
  assert.deepEqual(lost, [], 'parts in the order that are not there');
});

test('imports of our own files exist and end in .ts', () => {
  const wrong = imports.filter(({ to }) => to !== undefined && (!to.endsWith('.ts') || !existsSync(join(source, to))));
  assert.deepEqual(wrong.map(describe), []);
});

test('imports point downwards', () => {
  for (const [folder, rows] of Object.entries(ORDER)) {
    const wrong = imports.filter(({ from, to }) => {
      const [above, below] = [partOf(from, folder), to === undefined ? undefined : partOf(to, folder)];
      if (above === undefined || below === undefined || above === below) return false;
      const [row, other] = [rowOf(above, rows), rowOf(below, rows)];
      const bothOfTheRest = row === other && ![above, below].some((part) => rows[row]?.includes(part));
      return isApart(from) || isApart(to ?? '') || (other <= row && !bothOfTheRest);
    });
    assert.deepEqual(wrong.map(describe), [], folder === '' ? 'src' : `src/${folder}`);
  }
});

test('a source knows no client, and no client a source', () => {
  const wrong = imports.filter(({ from, to = '' }) =>
    STRANGERS.some(([one, other]) => from.startsWith(one) && to.startsWith(other)),
  );
  assert.deepEqual(wrong.map(describe), []);
});

test('no file imports itself by a detour', () => {
  assert.deepEqual(cycles(), []);
});

test('native modules and the inside of a package are known to few', () => {
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

test(`folders have at most ${MAX_ENTRIES} entries`, () => {
  const entries = new Map<string, Set<string>>();
  for (const file of files)
    for (const folder of foldersOf(file)) {
      const known = entries.get(folder) ?? new Set();
      entries.set(folder, known.add(partOf(file, folder) ?? ''));
    }
  entries.delete('');
  const long = [...entries].filter(([, names]) => names.size > MAX_ENTRIES);
  assert.deepEqual(
    long.map(([folder, names]) => `${folder}: ${names.size}`),
    [],
  );
});

test('every file begins with a sentence that says what it is', () => {
  const silent = [...text].filter(([, code]) => !/^(#!.*\n)?\/(\*\*|\/)/.test(code)).map(([file]) => file);
  assert.deepEqual(silent, []);
});

test('the map names files that are there', () => {
  const map = readFileSync(join(source, 'README.md'), 'utf8');
  const named = [...map.matchAll(/`((?:[\w.-]+\/)+[\w.-]*)`/g)].map((match) => match[1] ?? '');
  const known = (path: string): boolean => [source, root].some((folder) => existsSync(join(folder, path)));
  assert.deepEqual(
    named.filter((path) => !known(path)),
    [],
  );
});

test('no module has state that changes', () => {
  const found = [...text]
    .filter(([file]) => !isApart(file))
    .flatMap(([file, code]) =>
      [...code.matchAll(/^(?:export )?(?:let|var) .*$/gm)].map((match) => `${file}: ${match[0]}`),
    );
  assert.deepEqual(found, []);
});

function isApart(file: string): boolean {
  return APART.includes(partOf(file) ?? '');
}

/** "" and every folder on the way to a file. */
function foldersOf(file: string): readonly string[] {
  const steps = file.split('/').slice(0, -1);
  return ['', ...steps.map((_step, index) => steps.slice(0, index + 1).join('/'))];
}

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
