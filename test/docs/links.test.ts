/** Every link of a Markdown page leads somewhere: the file is there, and so is the heading in it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { type Page, readPage, readPages } from './pages.ts';

const others = [...readdirSync('.').filter((name) => name.endsWith('.md') && name !== 'README.md'), 'src/README.md'];
const pages: ReadonlyMap<string, Page> = new Map(
  [...readPages(), ...others.map(readPage)].map((page) => [page.path, page]),
);

/** As GitHub makes them of headings: a second one of the same name gets "-1". */
function anchorsOf({ prose }: Page): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const { text } of prose) {
    const heading = /^#+ (.*)$/.exec(text)?.[1];
    for (const [, id = ''] of text.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id);
    if (heading === undefined) continue;
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{Letter}\p{Mark}\p{Number}\p{Connector_Punctuation} -]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let again = 1; anchors.has(anchor); again++) anchor = `${slug}-${again}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** Of inline links, pictures and `href`s, and of link definitions; not those within code. */
function targetsOf(text: string): readonly string[] {
  const plain = text.replaceAll(/`[^`]*`/g, '');
  return [
    ...[...plain.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)],
    ...[...plain.matchAll(/<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)="([^"]+)"/g)],
    ...[...plain.matchAll(/^\[[^\]]+\]: (\S+)/g)],
  ].map(([, target = '']) => target);
}

/** Why a link leads nowhere; undefined where it does not. */
function objection(page: Page, target: string): string | undefined {
  if (/^(https?|mailto):/.test(target)) return undefined;
  const [path = '', anchor] = target.split('#', 2);
  const file = path === '' ? page.path : normalize(join(dirname(page.path), path));
  if (!existsSync(file)) return 'there is no such file';
  if (anchor === undefined) return undefined;
  const to = pages.get(file);
  if (to === undefined) return 'an anchor of what is no page';
  return anchorsOf(to).has(anchor) ? undefined : 'there is no such heading';
}

test('the links of every page', () => {
  const found = [...pages.values()].flatMap((page) =>
    page.prose.flatMap(({ line, text }) =>
      targetsOf(text).flatMap((target) => {
        const said = objection(page, target);
        return said === undefined ? [] : [`${page.path}:${line}: ${target}: ${said}`];
      }),
    ),
  );
  assert.deepEqual(found, []);
});

test('docs/README.md has every page of docs/ and deploy/', () => {
  const index = readPage('docs/README.md');
  const listed = new Set(
    index.prose.flatMap(({ text }) => targetsOf(text).map((target) => normalize(join('docs', target)))),
  );
  const missing = readPages().filter(({ path }) => path.includes('/') && path !== index.path && !listed.has(path));
  assert.deepEqual(
    missing.map(({ path }) => path),
    [],
    'put these pages under Start, Tasks, Reference or Concepts',
  );
});
