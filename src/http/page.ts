/** The pages that the gateway writes by itself: whole documents that load nothing, fit a phone and follow its light or dark. */
import { createHash } from 'node:crypto';
import type { HeaderList } from '../engine/engine.ts';

const STYLE = `:root{color-scheme:light dark;--ink:#1c2024;--quiet:#60686f;--line:#d9dde1;--paper:#fff;--link:#0b62c4}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--quiet:#98a1a9;--line:#343a40;--paper:#15181b;--link:#7db7ff}}
body{margin:0;padding:1.5rem 1rem 3rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{max-width:52rem;margin:0 auto}
h1{font-size:1.35rem;line-height:1.3;overflow-wrap:anywhere}
a{color:var(--link)}
small,.quiet{color:var(--quiet);font-size:.875rem}
code{font-size:.875rem;overflow-wrap:anywhere}
ul{list-style:none;margin:0;padding:0;border-top:1px solid var(--line)}
li{display:flex;flex-wrap:wrap;column-gap:1rem;padding:.5rem .25rem;border-bottom:1px solid var(--line)}
li a{flex:1 1 16rem;overflow-wrap:anywhere;text-decoration:none}
li a:hover{text-decoration:underline}
li span{min-width:5rem;text-align:right;font-variant-numeric:tabular-nums}
.error{padding-top:12vh;text-align:center}`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** Of a page: its type, and that nothing but its own style may work in it, whatever a file is called. */
export const PAGE_HEADERS: HeaderList = [
  ['content-type', 'text/html; charset=utf-8'],
  ['content-security-policy', `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'`],
];

/** A page up to its content, which is to be followed by `PAGE_END`. `title` is plain text. */
export function pageStart(title: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
`;
}

export const PAGE_END = `</main>
</body>
</html>
`;

const ENTITIES: { readonly [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for HTML, in an element or in quotes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
