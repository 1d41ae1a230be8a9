/**
 * The syntax tree of a TOML text, with the position of every key. The only file that knows what is inside of the package `toml`: its public
 * function gives values without positions. `toml-parser.d.ts` declares what is used of it here.
 */
import compiler from 'toml/lib/compiler.js';
import parser from 'toml/lib/parser.js';
import type { RawTable } from '../values/tables.ts';

/** One line of the file. Offsets count UTF-16 units from its start. */
export type Statement =
  | { readonly type: 'ObjectPath' | 'ArrayPath'; readonly value: readonly string[]; readonly offset: number }
  | {
      readonly type: 'Assign';
      readonly key: readonly string[];
      readonly value: ValueNode;
      readonly offset: number;
    };

export type ValueNode =
  | { readonly type: 'Array'; readonly value: readonly ValueNode[]; readonly offset: number }
  | { readonly type: 'InlineTable'; readonly value: readonly InlineEntry[]; readonly offset: number }
  | {
      readonly type: 'String' | 'Integer' | 'Float' | 'Boolean' | 'Date' | 'LocalDateTime' | 'LocalDate' | 'LocalTime';
      readonly value: unknown;
      readonly offset: number;
    };

export interface InlineEntry {
  readonly type: 'InlineTableValue';
  readonly key: readonly string[];
  readonly value: ValueNode;
  readonly offset: number;
}

/** Throws an error that `parserStop` understands. */
export function parseTree(source: string): readonly Statement[] {
  return parser.parse(source);
}

/** The tables that the statements make. Throws an error that `parserStop` understands, for what is defined twice. */
export function compileTree(statements: readonly Statement[], source: string): RawTable {
  return compiler.compile(statements, source);
}

/** Where the package has stopped reading, and why: a sentence of its own with a line, or what it could have gone on with. */
export type ParserStop =
  | { readonly line: number; readonly column: number; readonly said: string }
  | { readonly offset: number; readonly expected: readonly Expected[] };

/** A text, or a class of characters. */
export interface Expected {
  readonly text?: unknown;
  readonly type?: unknown;
  readonly inverted?: unknown;
}

/** The package throws errors of two shapes: its own, and those of the parser generator (peggy). Undefined for any other error. */
export function parserStop(error: unknown): ParserStop | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('line' in error && typeof error.line === 'number' && 'column' in error && typeof error.column === 'number')
    return { line: error.line, column: error.column, said: error.message };
  if (!('location' in error && 'expected' in error && Array.isArray(error.expected))) return undefined;
  const location = error.location as { readonly start?: { readonly offset?: unknown } } | undefined;
  const offset = location?.start?.offset;
  return typeof offset === 'number' ? { offset, expected: error.expected } : undefined;
}
