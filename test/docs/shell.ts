/** The little of the shell's grammar that the pages use: words, quotes, comments, and what joins commands. */

/** The operators that a command ends at. A redirection belongs to its command. */
const BETWEEN = /^(\|\||&&|\||;|&|\(|\)|\n)/;
const REDIRECTION = /^\d?(>>|>&|>|<<<|<<|<)\s*&?/;
/** What stands in front of a command and is none. */
const BEFORE = ['sudo', 'npx', 'exec', 'time', '!'];
const PROGRAM = /^(\.\/|\/usr\/bin\/)?runnel(-linux-[a-z0-9]+)?$/;

/** The commands of a line, each as its words without redirections. */
export function simpleCommands(text: string): readonly (readonly string[])[] {
  const commands: string[][] = [];
  let words: string[] = [];
  let rest = text.replaceAll('\\\n', ' ');
  const end = (): void => {
    if (words.length > 0) commands.push(words);
    words = [];
  };
  while (rest !== '') {
    const skipped = /^([ \t]+|#.*)/.exec(rest)?.[0] ?? '';
    const between = BETWEEN.exec(rest)?.[0];
    const redirection = REDIRECTION.exec(rest)?.[0];
    if (skipped !== '') rest = rest.slice(skipped.length);
    else if (redirection !== undefined) {
      rest = rest.slice(redirection.length);
      rest = rest.slice(takeWord(rest).length);
    } else if (between !== undefined) {
      end();
      rest = rest.slice(between.length);
    } else {
      const { word, length } = takeWord(rest);
      words.push(word);
      rest = rest.slice(length);
    }
  }
  end();
  return commands;
}

/** The first word of a text, without its quotes, and how much of the text it is: at least one character. */
function takeWord(text: string): { readonly word: string; readonly length: number } {
  let word = '';
  let length = 0;
  while (length < text.length) {
    const rest = text.slice(length);
    const quoted = /^'([^']*)'/.exec(rest) ?? /^"((?:\\.|[^"\\])*)"/.exec(rest) ?? /^\\(.)/.exec(rest);
    if (quoted !== null) {
      word += quoted[1] ?? '';
      length += quoted[0].length;
    } else if (/^[\s|;&()<>]/.test(rest)) break;
    else {
      word += rest[0] ?? '';
      length++;
    }
  }
  return { word, length: Math.max(length, 1) };
}

/** What is given to runnel in a line: of each of its commands that are runnel's, the words behind the program's name. */
export function runnelLines(text: string): readonly (readonly string[])[] {
  return simpleCommands(text).flatMap((words) => {
    const first = words.findIndex((word) => !BEFORE.includes(word) && !/^[A-Z_]+=/.test(word));
    const [program = '', ...rest] = words.slice(first);
    const [script = '', ...behind] = rest;
    if (PROGRAM.test(program)) return [rest];
    return program === 'node' && script.endsWith('dist/src/main.js') ? [behind] : [];
  });
}
