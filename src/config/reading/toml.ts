/** TOML's text to its tables, or to the reason why it is none. */
import type { RawTable } from '../values/tables.ts';
import { offsetAt, positionAt, type TextPosition } from './positions.ts';
import { explain, IN_A_STRING, type Stop } from './syntax.ts';
import { compileTree, parserStop, parseTree, type Statement } from './toml-tree.ts';

export interface SyntaxTrouble {
  readonly position: TextPosition;
  readonly message: string;
  readonly hint?: string;
}

export type TomlResult =
  | { readonly ok: true; readonly table: RawTable; readonly statements: readonly Statement[] }
  | { readonly ok: false; readonly trouble: SyntaxTrouble };

/** The tables of a TOML text, and the syntax tree they were made from. */
export function parseToml(source: string): TomlResult {
  let statements: readonly Statement[] = [];
  try {
    statements = parseTree(source);
    return { ok: true, table: compileTree(statements, source), statements };
  } catch (error) {
    const stop = stopOf(error, source);
    if (stop === undefined) throw error;
    return { ok: false, trouble: { position: positionAt(source, stop.offset), ...explain(source, stop, statements) } };
  }
}

function stopOf(error: unknown, source: string): Stop | undefined {
  const stop = parserStop(error);
  if (stop === undefined) return undefined;
  if ('line' in stop) return { offset: offsetAt(source, stop.line, stop.column), expected: new Set(), said: stop.said };
  const expected = stop.expected.flatMap(({ text, type, inverted }) =>
    typeof text === 'string' ? [text] : type === 'class' && inverted === true ? [IN_A_STRING] : [],
  );
  return { offset: stop.offset, expected: new Set(expected), said: undefined };
}
