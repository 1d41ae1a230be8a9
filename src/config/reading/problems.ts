/** What is wrong with a configuration, for the person who wrote it: where, which key, what, and what to do. */
import { visible } from '../../ops/visible.ts';
import type { KeyPath } from '../values/value.ts';

export interface Problem {
  /** As the user named it. */
  readonly file: string;
  /** From 1; undefined when the problem is with the file as a whole, or when there is no file. */
  readonly line: number | undefined;
  /** From 1, in characters. */
  readonly column: number | undefined;
  /** The key, such as `stream."/live".interval`; empty when no key is meant. */
  readonly path: string;
  /** Without a full stop. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string | undefined;
}

/** One line that is safe to show, whatever the file and the paths in it are called: `runnel.toml:12:1: stream."/live".interval: must be 100ms to 1h (got "5")`. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, path, message, hint } = problem;
  const where = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return visible(`${where}: ${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : `; ${hint}`}`);
}

/** In the file's order; what has no place in it comes first. */
export function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  return [...problems].sort(
    (a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0) || a.path.localeCompare(b.path, 'en'),
  );
}

/** A key's path as one would write it: `listen[1].address`, `stream."/live".command`. */
export function formatPath(path: KeyPath): string {
  let result = '';
  for (const step of path) {
    if (typeof step === 'number') result += `[${step}]`;
    else result += `${result === '' ? '' : '.'}${key(step)}`;
  }
  return cut(result, 160);
}

const SECRET = /passphrase|token|passw(or)?d|secret|^authorization$|^cookie$/i;

/** Whether what is written under this key must not be shown. The values of `env` are what people pass keys to programs with. */
export function isSecret(path: KeyPath): boolean {
  return path.some((step) => typeof step === 'string' && (SECRET.test(step) || step === 'env'));
}

/** A value in TOML's notation, cut to 60 characters; "(hidden)" if its key says that it is a secret. */
export function formatValue(value: unknown, path: KeyPath): string {
  return isSecret(path) ? '(hidden)' : cut(written(value, path), 60);
}

function written(value: unknown, path: KeyPath, depth = 0): string {
  // Dotted keys nest as deep as a line is long; nothing of that is shown anyway.
  if (depth > 8) return '…';
  if (isSecret(path)) return '(hidden)';
  if (typeof value === 'string') return quote(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return `[${value.map((item) => written(item, path, depth + 1)).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(
      ([name, item]) => `${key(name)} = ${written(item, [...path, name], depth + 1)}`,
    );
    return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
  }
  return String(value);
}

/** A key of TOML, bare if it can be. */
function key(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : quote(name);
}

/** A basic string of TOML. */
export function quote(value: string): string {
  return visible(JSON.stringify(value));
}

/** The first `length` characters; the last of them is "…" if there were more. */
export function cut(value: string, length: number): string {
  const characters = Array.from(value);
  return characters.length <= length ? value : `${characters.slice(0, length - 1).join('')}…`;
}
