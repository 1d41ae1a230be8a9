// Which pages the site has, and in which order: docs/README.md has it, with a heading for each group and links below it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

const INDEX = 'docs/README.md';
/** What people get as a file to read: everything else that is linked to is copied as it is. */
const TEXT = /\.(toml|conf|cfg|sh|html|js|mjs|ts|service|socket|txt|yml|yaml|css)$|\/(Caddyfile|LICENSE)$|^LICENSE$/;

export const isText = (path) => TEXT.test(path);

/** Where a page of the repository is in the site: docs/ is its top. */
export function outputOf(source) {
  if (source === 'README.md') return 'index.html';
  if (source === INDEX) return 'contents.html';
  if (source === 'config/README.md') return 'examples.html';
  if (source === 'src/README.md') return 'project/source.html';
  const html = source.replace(/README\.md$/, 'index.md').replace(/\.md$/, '.html');
  if (source.startsWith('docs/')) return html.slice('docs/'.length);
  return source.includes('/') ? html : `project/${html.toLowerCase()}`;
}

export function titleOf(text) {
  const [, title = ''] = /^# (.*)$/m.exec(text) ?? [];
  return title.replaceAll('`', '').replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
}

/** A title as the navigation has it where the index has no name: what stands before a colon. */
const shortName = (title) => title.split(': ')[0];

/** @returns all pages, and the same in their groups */
export function findPages() {
  const sources = [
    ...['README.md', 'config/README.md', 'src/README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'],
    ...['docs', 'deploy'].flatMap(below),
  ].filter((source) => existsSync(source));
  const pages = sources.map((source) => {
    const title = titleOf(readFileSync(source, 'utf8'));
    return { source, output: outputOf(source), title: title || source, name: shortName(title) };
  });
  const left = new Map(pages.map((page) => [page.source, page]));
  const take = (source) => {
    const page = left.get(source);
    left.delete(source);
    return page === undefined ? [] : [page];
  };
  const groups = [{ title: 'Start', pages: [...take('README.md'), ...take(INDEX)] }];
  for (const { title, links } of contents()) {
    const found = links.flatMap(({ source, name }) => take(source).map((page) => Object.assign(page, { name })));
    const same = groups.find((group) => group.title === title);
    if (same !== undefined) same.pages.push(...found);
    else if (found.length > 0) groups.push({ title, pages: found });
  }
  if (left.size > 0) groups.push({ title: 'Project', pages: [...left.values()].sort(byTitle) });
  return { pages, groups };
}

const byTitle = (one, other) => (one.title < other.title ? -1 : 1);

function below(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `${folder}/${name}`);
}

/** The headings of the index, each with the pages that are linked to below it. */
function contents() {
  if (!existsSync(INDEX)) return [];
  return readFileSync(INDEX, 'utf8')
    .split(/^## /m)
    .map((part) => ({
      title: part.slice(0, part.indexOf('\n')).trim(),
      links: [...part.matchAll(/\[([^\]]+)\]\(([^)#]+\.md)[^)]*\)/g)].map(([, name, link]) => ({
        name: name.replaceAll('`', ''),
        source: posix.join('docs', link),
      })),
    }))
    .slice(1);
}
