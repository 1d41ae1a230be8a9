/** TOML's text to its tables, through the `toml` package. */
import compiler from 'toml/lib/compiler.js';
import parser, { type Statement } from 'toml/lib/parser.js';
import type { RawTable } from '../values/tables.ts';
import { offsetAt, positionAt, type TextPosition } from './positions.ts';
import { explain, IN_A_STRING, type Stop } from './syntax.ts';

export interface SyntaxTrouble {
  readonly position: TextPosition;
  readonly message: string;
  readonly hint?: string;
}

export type Parsed =
  | { readonly ok: true; readonly table: RawTable; readonly statements: readonly Statement[] }
  | { readonly ok: false; readonly trouble: SyntaxTrouble };

/** The tables of a TOML text, and the syntax tree they were made from. */
export function parseToml(source: string): Parsed {
  let statements: readonly Statement[] = [];
  try {
    statements = parser.parse(source);
    return { ok: true, table: compiler.compile(statements, source), statements };
  } catch (error) {
    const stop = stopOf(error, source);
    if (stop === undefined) throw error;
    return { ok: false, trouble: { position: positionAt(source, stop.offset), ...explain(source, stop, statements) } };
  }
}

/** The package throws errors of two shapes: its own with a line, and those of the parser generator with an offset. */
function stopOf(error: unknown, source: string): Stop | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('line' in error && typeof error.line === 'number' && 'column' in error && typeof error.column === 'number')
    return { offset: offsetAt(source, error.line, error.column), expected: new Set(), said: error.message };
  if (!('location' in error && 'expected' in error && Array.isArray(error.expected))) return undefined;
  const location = error.location as { readonly start?: { readonly offset?: unknown } } | undefined;
  const offset = location?.start?.offset;
  if (typeof offset !== 'number') return undefined;
  const expected = error.expected.flatMap((item: { text?: unknown; type?: unknown; inverted?: unknown }) =>
    typeof item.text === 'string' ? [item.text] : item.type === 'class' && item.inverted === true ? [IN_A_STRING] : [],
  );
  return { offset, expected: new Set(expected), said: undefined };
}
