/** Writes tables as TOML, for a person to read: for --print-config. */
import type { TomlTable, TomlValue } from './translate.ts';

/** Tables of tables (`[stream."/"]`) and lists of tables (`[[listen]]`) get a heading, what is below them stands in one line. */
export function writeToml(tables: TomlTable): string {
  const parts = Object.entries(tables).flatMap(([name, value]) => {
    if (isList(value)) return value.map((entry) => section(`[[${name}]]`, isTable(entry) ? entry : {}));
    if (!isTable(value)) return [`${key(name)} = ${inline(value)}`];
    const inner = Object.entries(value);
    return inner.every(([, below]) => isTable(below))
      ? inner.map(([path, below]) => section(`[${name}.${key(path)}]`, isTable(below) ? below : {}))
      : [section(`[${name}]`, value)];
  });
  return `${parts.join('\n\n')}\n`;
}

function section(heading: string, table: TomlTable): string {
  return [heading, ...entries(table)].join('\n');
}

function entries(table: TomlTable): readonly string[] {
  return Object.entries(table).flatMap(([name, value]) => `${key(name)} = ${inline(value)}`);
}

function inline(value: TomlValue): string {
  if (typeof value === 'string') return text(value);
  if (typeof value !== 'object') return String(value);
  return isList(value) ? `[${value.map(inline).join(', ')}]` : `{ ${entries(value).join(', ')} }`;
}

function isList(value: TomlValue): value is readonly TomlValue[] {
  return Array.isArray(value);
}

function isTable(value: TomlValue): value is TomlTable {
  return typeof value === 'object' && !isList(value);
}

function key(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : text(name);
}

/** A basic string. JSON's notation is TOML's, but for DEL. */
function text(value: string): string {
  return JSON.stringify(value).replaceAll('\x7f', '\\u007F');
}
