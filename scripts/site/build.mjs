// Makes the documentation as a site of static HTML, dist/site, out of the Markdown of the repository: npm run docs:site
//
// It needs no server (file:// works), loads nothing from elsewhere, and its pages have neither inline scripts nor inline styles.
// Two builds of the same text are equal, byte for byte.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeLanguage, highlight } from './highlight.mjs';
import { render } from './markdown.mjs';
import { findPages, isText } from './pages.mjs';
import { page } from './template.mjs';

process.chdir(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const OUT = process.argv[2] ?? 'dist/site';
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

const { pages, groups } = findPages();
const bySource = new Map(pages.map((each) => [each.source, each]));
/** Files of the repository that pages link to: shown as a page where they are text, else copied. */
const files = new Map();
const written = [];

/** Where a link of `source` leads in the site. */
function resolve(source, link) {
  if (/^([a-z]+:|#|\/)/i.test(link)) return { href: link, outside: /^https?:/.test(link) };
  const [path, anchor = ''] = link.split('#');
  const target = posix.normalize(posix.join(posix.dirname(source), decodeURI(path)));
  const known = bySource.get(target) ?? bySource.get(`${target.replace(/\/$/, '')}/README.md`);
  const to = known?.output ?? addFile(target);
  if (to === undefined) {
    console.error(`${source}: the link ${link} leads nowhere`);
    return { href: link };
  }
  const from = bySource.get(source).output;
  return { href: posix.relative(posix.dirname(from), to) + (anchor === '' ? '' : `#${anchor}`), title: known?.name };
}

function addFile(target) {
  let text;
  try {
    text = readFileSync(target);
  } catch {
    return undefined;
  }
  const output = isText(target) ? `${target}.html` : target;
  files.set(target, { output, text });
  return output;
}

function write(output, content) {
  const file = join(OUT, output);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  written.push(output);
}

rmSync(OUT, { recursive: true, force: true });
for (const each of pages) {
  const text = readFileSync(each.source, 'utf8');
  Object.assign(
    each,
    render(text, (link) => resolve(each.source, link)),
  );
}
const order = groups.flatMap((group) => group.pages);
for (const [at, each] of order.entries())
  write(each.output, page({ ...each, groups, version, previous: order[at - 1], next: order[at + 1] }));

for (const [target, { output, text }] of files) {
  if (output === target) {
    write(output, text);
    continue;
  }
  const code = highlight(text.toString('utf8').trimEnd(), codeLanguage(basename(target), extname(target)));
  const content = `<h1>${basename(target)}</h1>\n<p class="path">${target}</p>\n<pre><code>${code}</code></pre>\n`;
  write(output, page({ title: basename(target), description: target, content, headings: [], output, groups, version }));
}

const sections = order.flatMap((each) =>
  each.sections.map(({ anchor, heading, text }) => [each.output + (anchor && `#${anchor}`), each.title, heading, text]),
);
// A script and not JSON: a page that was opened as a file may load scripts, and nothing else.
write('search-index.js', `window.searchIndex = ${JSON.stringify(sections)};\n`);
for (const name of ['site.css', 'site.js']) write(name, readFileSync(join('scripts/site', name)));
cpSync('config/demo/www/icon.svg', join(OUT, 'icon.svg'));
console.log(`${OUT}: ${written.length + 1} files, ${order.length} pages`);
