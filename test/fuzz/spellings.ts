/** Routes and paths by chance, each path in many spellings; and what they come to, worked out another way than the gateway does. */
import type { Chance } from './mutate.ts';

/** Names that are written differently in URIs than they are meant, or look like something else. */
const NAMES = [
  'a',
  'b',
  '@admin',
  'a+b',
  'café',
  'my files',
  "it's",
  '~ann',
  'a:b;c=d&e',
  '日本',
  '{x}',
  '[1]',
  'a"b',
  '...',
  '%40admin',
  '100%',
];

export function anyName(chance: Chance): string {
  return NAMES[chance.below(NAMES.length)] ?? 'a';
}

/** Names one below the other; "" at the end stands for a last slash. */
export function anyPath(chance: Chance): readonly string[] {
  const names = Array.from({ length: chance.below(4) }, () => anyName(chance));
  return names.length === 0 || chance.below(2) === 0 ? [...names, ''] : names;
}

/** Keys of routes, each path at most once. */
export function anyKeys(chance: Chance): readonly string[] {
  const keys = Array.from({ length: 1 + chance.below(8) }, () => {
    const path = anyPath(chance).filter((name) => !name.includes('%'));
    return `${chance.below(4) === 0 ? 'board.test' : ''}/${path.join('/')}`;
  });
  return [...new Set(keys)];
}

/** The same path, one character for each byte: names escaped more or less, with slashes and dots that mean nothing. */
export function spelled(path: readonly string[], chance: Chance): string {
  const noise = (): string => {
    const kinds = ['', '', '', '/', './', '%2e/', 'x/../', 'x/%2E./', '%41/.%2e/'];
    return kinds[chance.below(kinds.length)] ?? '';
  };
  return path.reduce((text, name, at) => `${text}${at === 0 ? '' : '/'}${noise()}${spelledName(name, chance)}`, '/');
}

function spelledName(name: string, chance: Chance): string {
  return [...Buffer.from(name)]
    .map((byte) => {
      const [plain, hex] = [String.fromCharCode(byte), byte.toString(16).padStart(2, '0')];
      const must = byte <= 0x20 || plain === '%' || plain === '/' || byte > 0x7e;
      if (!must && chance.below(3) > 0) return plain;
      return `%${chance.below(2) === 0 ? hex : hex.toUpperCase()}`;
    })
    .join('');
}

/** Which key serves a path on a host, and whether it is only sent to its slash: by comparing names, which nothing can be hidden in. */
export function servedBy(
  keys: readonly string[],
  host: string,
  path: readonly string[],
): { key: string; needsSlash: boolean } | undefined {
  const asked = `/${path.map((name) => JSON.stringify(name)).join('/')}`;
  const written = keys.map((key) => {
    const slash = key.indexOf('/');
    const names = key.slice(slash + 1).split('/');
    return {
      key,
      own: key.slice(0, slash),
      base: `/${names.map((name) => JSON.stringify(name)).join('/')}`,
      prefix: key.endsWith('/'),
    };
  });
  const fitting = written
    .filter(({ own }) => own === '' || own === host)
    .sort((one, other) => other.own.length - one.own.length);
  const exact = fitting.find(({ base }) => base === asked);
  if (exact !== undefined) return { key: exact.key, needsSlash: false };
  const folder = fitting.find(({ prefix, base }) => prefix && base === `${asked}/""`);
  if (folder !== undefined) return { key: folder.key, needsSlash: true };
  // Without the empty name behind its slash, a prefix route's path begins those of all that it serves.
  const around = fitting.filter(({ prefix, base }) => prefix && asked.startsWith(base.slice(0, -2)));
  const best = around.sort((one, other) => other.base.split('/').length - one.base.split('/').length)[0];
  return best && { key: best.key, needsSlash: false };
}
