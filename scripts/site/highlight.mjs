// Modest colours for code: comments, strings, what a line begins with. HTML with classes; unknown languages stay plain.

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
export const escapeHtml = (text) => text.replaceAll(/[&<>"]/g, (sign) => ESCAPES[sign]);

const HASH = ['comment', '(?<=^|\\s)#.*'];
const SLASHES = ['comment', '(?<=^|\\s)//.*|/\\*[\\s\\S]*?\\*/'];
const STRING = ['string', '"(?:[^"\\\\\\n]|\\\\.)*"|\'(?:[^\'\\\\\\n]|\\\\.)*\''];
const WORDS = ['key', '\\b(?:new|function|return|const|let|var|if|else|for|of|await|import|from)\\b'];

/** For each language what is looked for, first things first. */
const LANGUAGES = {
  toml: [
    HASH,
    STRING,
    ['head', '^\\[.*?\\]+(?=\\s|$)'],
    ['key', '^\\s*[\\w."/-]+(?=\\s*=)'],
    ['value', '\\b(?:true|false|\\d+)\\b'],
  ],
  sh: [HASH, STRING, ['key', '^(?:\\$ )?(?:sudo )?[\\w./-]+(?= |$)']],
  ini: [HASH, ['head', '^\\[.*\\]'], ['key', '^\\w+(?==)']],
  nginx: [HASH, STRING, ['key', '^\\s*\\w+']],
  yaml: [HASH, STRING, ['key', '^[\\s-]*[\\w-]+(?=:)']],
  python: [HASH, STRING, ['key', '\\b(?:import|from|while|for|in|if|else|def|return|with|as|print)\\b']],
  json: [['key', '"[^"]*"(?=\\s*:)'], STRING, ['value', '\\b(?:true|false|null|-?[\\d.]+)\\b']],
  js: [SLASHES, STRING, WORDS],
  html: [['comment', '<!--[\\s\\S]*?-->'], SLASHES, STRING, WORDS, ['key', '</?[\\w-]+|(?<=[\\w"])/?>']],
};
const ALIASES = {
  bash: 'sh',
  javascript: 'js',
  ts: 'js',
  mjs: 'js',
  systemd: 'ini',
  yml: 'yaml',
  logrotate: 'nginx',
  caddy: 'nginx',
  haproxy: 'nginx',
};
const EXPRESSIONS = new Map(
  Object.entries(LANGUAGES).map(([name, parts]) => [
    name,
    new RegExp(parts.map(([, pattern]) => `(${pattern})`).join('|'), 'gm'),
  ]),
);

/** The language of a file. */
export function codeLanguage(name, extension) {
  if (name === 'Caddyfile' || ['.conf', '.cfg'].includes(extension)) return 'nginx';
  if (['.service', '.socket'].includes(extension)) return 'ini';
  return extension.slice(1);
}

/** @returns HTML */
export function highlight(code, wanted) {
  const language = ALIASES[wanted] ?? wanted;
  const expression = EXPRESSIONS.get(language);
  if (expression === undefined) return escapeHtml(code);
  let html = '';
  let at = 0;
  for (const match of code.matchAll(expression)) {
    const [kind] = LANGUAGES[language][match.slice(1).findIndex((text) => text !== undefined)];
    html += `${escapeHtml(code.slice(at, match.index))}<span class="${kind}">${escapeHtml(match[0])}</span>`;
    at = match.index + match[0].length;
  }
  return html + escapeHtml(code.slice(at));
}
