// The frame of every page: head, navigation, contents of the page, what comes before and after it.
import { posix } from 'node:path';
import { escapeHtml } from './highlight.mjs';

/** A longer list of headings shows those of the upper level alone. */
const MOST_INSIDE = 24;

export function page({ title, description, content, headings, output, groups, version, previous, next }) {
  const to = (target) => posix.relative(posix.dirname(output), target);
  const link = (target, text, extra = '') => `<a href="${to(target)}"${extra}>${escapeHtml(text)}</a>`;
  const here = (each) => (each.output === output ? ' aria-current="page"' : '');
  const upper = headings.filter(({ level }) => level < 4);
  const inside = upper.length > MOST_INSIDE ? upper.filter(({ level }) => level === 2) : upper;
  const lead = ({ anchor, heading }) => `<a href="#${anchor}">${escapeHtml(heading)}</a>`;
  // On a small screen the contents of the page are where its name is; on a large one they have a column.
  const below = (each) =>
    each.output === output && inside.length > 1
      ? `\n<ul class="below">\n${inside
          .filter(({ level }) => level === 2)
          .map((each) => `<li>${lead(each)}</li>`)
          .join('\n')}\n</ul>`
      : '';
  const navigation = groups
    .map(
      (group) =>
        `<h2>${escapeHtml(group.title)}</h2>\n<ul>\n${group.pages
          .map((each) => `<li>${link(each.output, each.name, here(each))}${below(each)}</li>`)
          .join('\n')}\n</ul>`,
    )
    .join('\n');
  const contents = inside.map((each) => `<li class="level-${each.level}">${lead(each)}</li>`).join('\n');
  const step = (each, name) =>
    each === undefined
      ? ''
      : `<a rel="${name.toLowerCase().slice(0, 4)}" class="${name.toLowerCase()}" href="${to(each.output)}"><small>${name}</small> ${escapeHtml(each.name)}</a>`;
  const isHome = output === 'index.html';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="${escapeHtml(description)}">
<title>${isHome ? 'runnel: the output of programs, live in browsers' : `${escapeHtml(title)} · runnel`}</title>
<link rel="icon" href="${to('icon.svg')}" type="image/svg+xml">
<link rel="stylesheet" href="${to('site.css')}">
<script src="${to('site.js')}" data-index="${to('search-index.js')}" defer></script>
</head>
<body${isHome ? ' class="home"' : ''}>
<a class="skip" href="#content">Skip to the content</a>
<header class="top">
<a class="brand" href="${to('index.html')}"><img src="${to('icon.svg')}" alt="" width="24" height="24"> runnel</a>
<search class="search" hidden>
<input type="search" id="search" placeholder="Search" aria-label="Search the documentation" aria-describedby="search-key" autocomplete="off" spellcheck="false">
<kbd id="search-key" aria-label="Shortcut: /">/</kbd>
<div class="results" hidden><p class="count" role="status"></p><ul></ul></div>
</search>
<button type="button" class="menu" popovertarget="pages">Pages</button>
</header>
<div class="frame">
<nav id="pages" popover aria-label="Pages">
${navigation}
</nav>
<main id="content">
<article>
${content}</article>
<nav class="steps" aria-label="Previous and next page">${step(previous, 'Previous')}${step(next, 'Next')}</nav>
<footer>runnel ${escapeHtml(version)}</footer>
</main>
${inside.length > 1 ? `<aside class="inside" aria-labelledby="inside"><h2 id="inside">On this page</h2>\n<ul>\n${contents}\n</ul></aside>` : ''}
</div>
</body>
</html>
`;
}
