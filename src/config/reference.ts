/** The reference page of the configuration, `docs/configuration.md`, made from the schema. */

import { defaults } from './keys/routes.ts';
import { formatValue } from './reading/problems.ts';
import { type TableShape, tablesOf } from './reading/suggest.ts';
import type { KeyGroup } from './route-schema.ts';
import type { Schema } from './schema.ts';
import type { Fields, Key } from './values/value.ts';

/** Loaded by a test, so that it stays true. */
export const EXAMPLE = `# Every phone in the house sees the board's pages and its load, live.

[[listen]]
address = ":8080"                    # every address of the machine; plain HTTP and WebSocket

[defaults]
headers = { X-Content-Type-Options = "nosniff" }
limits = { body = "1MiB" }

[static."/"]                         # a key that ends in "/" is a prefix: /, /style.css, /img/logo.png
root = "www"                         # relative to this file

[cgi."/cgi-bin/"]                    # old programs as they are
root = "cgi-bin"
timeout = "10s"

[cgi."/upload"]                      # any other key is exact
command = ["./cgi-bin/upload.cgi"]
limits = { body = "64MiB" }          # the other limits stay as [defaults] has them

[stream."/live"]                     # what the program prints, line by line, over a WebSocket
command = ["vmstat", "-n", "1"]

[admin]
listen = "127.0.0.1:9180"            # /metrics and /healthz
`;

const INTRODUCTION = `# The configuration

<!-- Made from src/config/schema.ts by "npm run docs". Change that file, not this one. -->

runnel reads one TOML file. \`runnel check -c FILE\` prints everything that is wrong with it, \`runnel schema\` prints its
JSON Schema ([runnel.schema.json](runnel.schema.json)), with which an editor completes and checks it.

\`\`\`toml
${EXAMPLE}\`\`\`

- **Routes.** The table's name says what serves a path, its key says which. A key that ends in \`/\` is a prefix, any other
  is exact; the longest match wins. \`"board.local/app/"\` is for one host only. Keys are written decoded (\`"/café/"\`, not
  \`"/caf%C3%A9/"\`).
- **Durations** are strings with a unit: \`"250ms"\`, \`"30s"\`, \`"5m"\`, \`"1.5h"\`, \`"7d"\`.
- **Sizes** are strings with a unit, \`"64KiB"\` (1024 bytes each) or \`"1MB"\` (a million bytes), or a whole number of bytes.
- **Paths** are relative to the folder of the configuration file. So is a program with a slash in its name; one without is
  looked up in \`PATH\`.
- **Commands** are lists, the program first. There is no shell that would split or expand anything.
- **\`[defaults]\`** holds what every route inherits. A route's own \`headers\` and \`limits\` override it key by key.
- An unknown key, a wrong type, a value out of bounds, two listeners on one address or a missing file is an error. The
  gateway does not start with one.
`;

/** The page, in Markdown. */
export function configReference({ root, kinds }: Schema): string {
  const shapes = tablesOf(root).filter((shape) => shape.header === '' || !isInherited(shape.header));
  const groups = new Map(kinds.map((kind) => [`[${kind.name}."/path"]`, kind.groups ?? []]));
  const sections = shapes.map((shape) => section(shape, root.fields, groups.get(shape.header) ?? []));
  return `${[INTRODUCTION, ...sections].join('\n')}`;
}

/** A route's own table of what it inherits has the keys of `[defaults]`' and nothing to add to them. */
function isInherited(header: string): boolean {
  return isPolicy(header) && !header.startsWith('[defaults.');
}

function isPolicy(header: string): boolean {
  return /\.(limits|cors|auth)\]$/.test(header);
}

/** @param top the keys at the top of the file */
function section(shape: TableShape, top: Fields, groups: readonly KeyGroup[]): string {
  const title = shape.header === '' ? '## The top of the file' : `## \`${shape.header}\``;
  const rows = grouped(shape, groups).flatMap(({ title: group, keys }) => [
    ...(group === '' ? [] : [`| **${group}** | | | |`]),
    ...keys.map(([name, key]) => row(name, key, shape.header)),
  ]);
  const head = ['| key | what it is | default | |', '| --- | --- | --- | --- |'];
  return `${[title, '', ...about(shape, top), ...head, ...rows].join('\n')}\n`;
}

interface Rows {
  readonly title: string;
  readonly keys: readonly (readonly [name: string, key: Key<unknown>])[];
}

/** The keys of a table by their groups, and last those that are in none. */
function grouped({ header, fields }: TableShape, groups: readonly KeyGroup[]): readonly Rows[] {
  const left = new Map(Object.entries(fields));
  const rows = groups.map(({ title, keys }): Rows => {
    const named = keys.map((name) => {
      const key = left.get(name);
      if (key === undefined) throw new TypeError(`${header} has no key "${name}", or it is in two groups`);
      left.delete(name);
      return [name, key] as const;
    });
    return { title, keys: named };
  });
  const title = groups.length === 0 ? '' : 'As with every route';
  return left.size === 0 ? rows : [...rows, { title, keys: [...left] }];
}

/** What the key that holds a table says of it, and what must hold between its keys. */
function about({ header, note }: TableShape, top: Fields): readonly string[] {
  const name = /^\[+([a-z]+)(?:\."\/path")?\]+$/.exec(header)?.[1];
  const doc = name === undefined ? undefined : top[name]?.doc;
  const text = [doc, note].filter((part) => part !== undefined).join(' ');
  return text === '' ? [] : [text, ''];
}

function row(name: string, key: Key<unknown>, header: string): string {
  const cells = [`\`${name}\``, cell(key.type.expected), cell(defaultOf(name, key, header)), cell(key.doc)];
  return `| ${cells.join(' | ')} |`;
}

function defaultOf(name: string, key: Key<unknown>, header: string): string {
  if (key.required) return 'required';
  if (header.includes('."/path"') && Object.hasOwn(defaults.fields, name)) return `as \`[defaults]\` has it`;
  if (key.default === undefined) return 'none';
  const value = formatValue(key.default, []);
  return value === '{}' || value === '[]' ? 'none' : `\`${value}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
