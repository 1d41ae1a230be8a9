/** Patterns for files. Pure. */

/**
 * Whether `path` (below the root, no slash at its start) fits `pattern`: `*` is any part of a name, `?` one character, `**` any
 * folders, `{a,b}` either. A pattern without a slash is about the name alone, wherever the file lies.
 */
export function globMatcher(pattern: string): (path: string) => boolean {
  const expression = new RegExp(`^${translate(pattern)}$`, 'su');
  if (pattern.includes('/')) return (path) => expression.test(path);
  return (path) => expression.test(path.slice(path.lastIndexOf('/') + 1));
}

const TOKEN = /\*\*\/|\*{2,}|\*|\?|\{|\}|,|[^*?{},]+/gu;

function translate(pattern: string): string {
  let inside = false;
  const tokens = pattern.match(TOKEN) ?? [];
  return tokens
    .map((token) => {
      if (token === '**/') return '(?:.*/)?';
      if (token.startsWith('**')) return '.*';
      if (token === '*') return '[^/]*';
      if (token === '?') return '[^/]';
      if (token === '{' || token === '}') {
        inside = token === '{';
        return inside ? '(?:' : ')';
      }
      if (token === ',' && inside) return '|';
      return token.replaceAll(/[\\^$.|+()[\]/]/g, '\\$&');
    })
    .join('');
}
