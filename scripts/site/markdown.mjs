// Markdown to HTML: anchors as GitHub makes them, links that lead within the site, code with colours, and the text for the search.
import MarkdownIt from 'markdown-it';
import { highlight } from './highlight.mjs';

/**
 * @param text Markdown
 * @param resolve what a link is in the site
 * @returns the HTML, its headings, and its text by sections
 */
export function render(text, resolve) {
  const markdown = new MarkdownIt({ html: true, highlight });
  markdown.renderer.rules.html_block = markdown.renderer.rules.html_inline = (tokens, at) =>
    tokens[at].content
      .replaceAll(/<!--[\s\S]*?-->/g, '')
      .replaceAll(/ (src|srcset|href)="([^"]*)"/g, (_, name, to) => ` ${name}="${resolve(to).href}"`);
  // A table may be wider than a phone: it scrolls by itself, by keyboard too. One of words stacks its cells there instead.
  markdown.renderer.rules.table_open = (all, at) =>
    `<div class="table" role="group" aria-label="Table" tabindex="0"><table${kindOfTable(all.slice(at))}>\n`;
  markdown.renderer.rules.table_close = () => '</table></div>\n';
  const tokens = markdown.parse(text, {});
  const headings = [];
  const sections = [{ anchor: '', heading: '', text: '' }];
  const anchors = new Set();
  let heads = [];
  let column = 0;
  let description = '';
  for (const [at, token] of tokens.entries()) {
    if (token.type === 'heading_open') {
      const heading = plain(tokens[at + 1]);
      const level = Number(token.tag.slice(1));
      const anchor = unused(anchors, anchorOf(heading));
      token.attrSet('id', anchor);
      token.meta = { anchor, level };
      if (level > 1) {
        headings.push({ level, anchor, heading });
        sections.push({ anchor, heading, text: '' });
      }
    } else if (token.type === 'inline') {
      for (const [place, child] of token.children.entries()) link(child, token.children[place + 1], resolve);
      if (tokens[at - 1].type === 'heading_open') continue;
      const words = plain(token);
      if (description === '' && tokens[at - 1].type === 'paragraph_open') description = words;
      sections.at(-1).text += `${words} `;
    } else if (token.type === 'fence') sections.at(-1).text += `${token.content.replaceAll(/\s+/g, ' ')} `;
    // No inline styles: the pages are to work with a strict Content-Security-Policy.
    if (token.attrGet('style') === 'text-align:right') token.attrs = [['class', 'right']];
    // Where a phone stacks the cells of a row, each says of which column it is.
    if (token.type === 'thead_open') heads = [];
    if (token.type === 'th_open') heads.push(plain(tokens[at + 1]));
    if (token.type === 'tr_open') column = 0;
    if (token.type === 'td_open' && heads[column++] && column > 1) token.attrSet('data-column', heads[column - 1]);
    // The first cell of a head is often empty; a cell without a word is no head.
    if (token.type === 'th_open' && tokens[at + 1].content === '') token.tag = 'td';
    else if (token.type === 'th_close' && tokens[at - 1].content === '') token.tag = 'td';
  }
  markdown.renderer.rules.heading_close = (all, at) => {
    const { anchor, level } = all[at - 2].meta;
    const sign = level > 1 ? `<a class="anchor" href="#${anchor}" aria-label="Link to this section">#</a>` : '';
    return `${sign}</h${level}>\n`;
  };
  const content = markdown.renderer.render(tokens, markdown.options, {});
  return { content, headings, description: description.slice(0, 200), sections };
}

/** How a table is shown on a phone: of numbers as it is, of keys of the configuration as they need it, of many words one cell below the other. */
function kindOfTable(tokens) {
  const head = tokens.slice(
    0,
    tokens.findIndex(({ type }) => type === 'thead_close'),
  );
  const cells = head.filter(({ type }) => type === 'inline');
  if (head.some((token) => token.attrGet('class') === 'right')) return ' class="numbers"';
  if (cells[0]?.content === 'key' && cells.length === 4) return ' class="keys"';
  return cells.length > 2 ? ' class="words"' : '';
}

function link(token, next, resolve) {
  const name = { link_open: 'href', image: 'src' }[token.type];
  if (name === undefined) return;
  const { href, outside, title } = resolve(token.attrGet(name));
  token.attrSet(name, href);
  // In the repository a page is called by its file, in the site by its name.
  if (title !== undefined && /^[\w./-]+\.md$/.test(next?.content ?? '')) next.content = title;
  if (outside && name === 'href') token.attrSet('rel', 'noreferrer');
}

const plain = (inline) =>
  inline.children
    .map((child) => (child.type === 'softbreak' || child.type === 'hardbreak' ? ' ' : plainOf(child)))
    .join('');
const plainOf = ({ type, content }) => (type === 'text' || type === 'code_inline' || type === 'image' ? content : '');

const anchorOf = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
    .replaceAll(' ', '-');

function unused(anchors, wanted) {
  let anchor = wanted;
  for (let number = 1; anchors.has(anchor); number++) anchor = `${wanted}-${number}`;
  anchors.add(anchor);
  return anchor;
}
