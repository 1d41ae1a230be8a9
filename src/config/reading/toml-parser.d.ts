/** The two halves of the `toml` package, which it does not describe itself: its syntax tree has the positions that its result lacks. */

declare module 'toml/lib/parser.js' {
  export interface InlineEntry {
    readonly type: 'InlineTableValue';
    readonly key: readonly string[];
    readonly value: ValueNode;
    readonly offset: number;
  }
  export type ValueNode =
    | { readonly type: 'Array'; readonly value: readonly ValueNode[]; readonly offset: number }
    | { readonly type: 'InlineTable'; readonly value: readonly InlineEntry[]; readonly offset: number }
    | {
        readonly type:
          | 'String'
          | 'Integer'
          | 'Float'
          | 'Boolean'
          | 'Date'
          | 'LocalDateTime'
          | 'LocalDate'
          | 'LocalTime';
        readonly value: unknown;
        readonly offset: number;
      };
  /** One line of the file. Offsets count UTF-16 units from its start. */
  export type Statement =
    | { readonly type: 'ObjectPath' | 'ArrayPath'; readonly value: readonly string[]; readonly offset: number }
    | {
        readonly type: 'Assign';
        readonly key: readonly string[];
        readonly value: ValueNode;
        readonly offset: number;
      };
  export interface Parser {
    /** Throws an Error with `location` and `expected` (peggy's), or one with `line` and `column`. */
    parse(source: string, options?: { readonly maxDepth?: number }): readonly Statement[];
  }
  const parser: Parser;
  export default parser;
}

declare module 'toml/lib/compiler.js' {
  import type { Statement } from 'toml/lib/parser.js';

  export interface Compiler {
    /** Throws an Error with `line` and `column`. */
    compile(statements: readonly Statement[], source: string): { readonly [key: string]: unknown };
  }
  const compiler: Compiler;
  export default compiler;
}
