/** The two halves of the package `toml`, which it does not describe itself. */

declare module 'toml/lib/parser.js' {
  const parser: { parse(source: string): readonly import('./toml-tree.ts').Statement[] };
  export default parser;
}

declare module 'toml/lib/compiler.js' {
  const compiler: {
    compile(
      statements: readonly import('./toml-tree.ts').Statement[],
      source: string,
    ): { readonly [key: string]: unknown };
  };
  export default compiler;
}
