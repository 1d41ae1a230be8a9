/** Why a text is not TOML, in words. The parser knows where it stopped; what the writer had in mind is read from around there. */

import { visible } from '../../ops/visible.ts';
import { firstDefinition } from './first-definition.ts';
import { positionAt, type TextPosition } from './positions.ts';
import { cut, isSecret } from './problems.ts';
import type { Statement } from './toml-tree.ts';

/** Where the parser stopped. What it could have gone on with is `expected`, or it has `said` what is wrong. */
export interface Stop {
  readonly offset: number;
  readonly expected: ReadonlySet<string>;
  readonly said: string | undefined;
}

/** One of `Stop.expected`: the parser was inside a string. */
export const IN_A_STRING = 'in a string';

export interface Explanation {
  readonly message: string;
  readonly hint?: string;
  /** Where to point, if not where the parser stopped. */
  readonly position?: TextPosition;
}

export function explain(source: string, stop: Stop, statements: readonly Statement[]): Explanation {
  const { offset, expected } = stop;
  if (stop.said !== undefined) return explainSaid(source, offset, stop.said, statements);
  const found = source.slice(offset, offset + 2);
  const character = Array.from(found)[0] ?? '';
  if (character !== '\n' && /^[\0-\x1f\x7f]/.test(character) && character !== '\r')
    return { message: `the control character ${codePoint(character)} is not allowed here` };
  if (
    expected.has(IN_A_STRING) &&
    (expected.has('"') || expected.has("'") || expected.has('"""') || expected.has("'''"))
  )
    return unclosedString(source, offset, expected);
  const odd = oddCharacter(source, offset, character);
  if (odd !== undefined) return odd;
  if (expected.has('true') && expected.has('false')) return missingValue(source, offset);
  const other = otherLanguage(source, offset, expected);
  if (other !== undefined) return other;
  const word = wordAround(source, offset);
  const isNumber = /^[+-]?[0-9]/.test(word.text) && word.text.length > 1 && offset > word.start;
  if (isNumber && expected.has(',') && /^[A-Za-z.:%]/.test(character)) return notANumber(source, word);
  if (isInHeader(source, offset) && !expected.has(IN_A_STRING)) {
    const header = meantHeader(source, offset);
    if (header !== undefined) return header;
  }
  if (expected.has(',') && (expected.has(']') || expected.has('}'))) return unclosed(source, offset, expected.has(']'));
  if (expected.has('}'))
    return { message: `a key or "}" is missing before ${shown(source, offset, wordAt(source, offset))}` };
  if (expected.has('=')) return missingEquals(source, offset, character);
  if (expected.has(']')) return { message: 'the header is not closed: "]" is missing' };
  if (isInHeader(source, offset))
    return {
      message: 'a name with other characters than A-Z, a-z, 0-9, "_" and "-" needs quotes',
      hint: 'such as [static."/path"]',
    };
  if (isNumber && character !== ',' && character !== ';') return notANumber(source, word);
  if (character === '=') return { message: 'there is no key before "="' };
  if (character === '{')
    return { message: 'this is not TOML', hint: 'it looks like JSON, but a line of TOML is key = value' };
  if (/^:\d+[ \t]*\r?(\n|$)/.test(source.slice(offset, offset + 20)))
    return {
      message: 'this is not TOML',
      hint: 'it looks like a Caddyfile; the port is address = ":8080" below [[listen]]',
    };
  if (character === '') return { message: 'the file ends in the middle of something' };
  if (expected.has('#') && !expected.has('[')) {
    if (character === ',' || character === ';') return { message: `remove the "${character}" at the end of the line` };
    return { message: `unexpected ${shown(source, offset, restOfLine(source, offset))} after the value` };
  }
  return {
    message: `unexpected ${shown(source, offset, character === '\n' ? 'end of the line' : wordAt(source, offset))}`,
  };
}

/** Characters that look like others. */
function oddCharacter(source: string, offset: number, character: string): Explanation | undefined {
  if (/^[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/.test(character))
    return {
      message: `the character ${codePoint(character)} looks like a space, but is another character`,
      hint: 'delete it and type a space',
    };
  if (/^[\u200b-\u200f\u2060\ufeff]/.test(character))
    return { message: `the character ${codePoint(character)} is not visible`, hint: 'delete it' };
  if (/^[“”„‘’«»`´]/.test(character))
    return { message: `${shown(source, offset, character)} is not a quotation mark of TOML`, hint: 'use "' };
  return undefined;
}

/** What is written as in another language. */
function otherLanguage(source: string, offset: number, expected: ReadonlySet<string>): Explanation | undefined {
  const rest = restOfLine(source, offset);
  const start = source.lastIndexOf('\n', offset - 1) + 1;
  const isFirst = source.slice(start, offset).trim() === '';
  if (isFirst && /^(;|\/\/|--|\/\*)/.test(rest))
    return { message: `${shown(source, offset, wordAt(source, offset))} does not begin a comment`, hint: 'use "#"' };
  if (isFirst && rest.startsWith('<'))
    return {
      message: 'this is not TOML',
      hint: 'it looks like XML or a configuration of Apache; docs/configuration.md has an example of TOML',
    };
  const line = restOfLine(source, start);
  if (/^\s*[^\s#"'={][^#"'=]*\{\s*$/.test(line) && !expected.has('}'))
    return {
      message: 'this is not TOML: it has no blocks in braces',
      hint: 'a section begins with a header such as [static."/"], and its lines are key = value',
    };
  if (expected.has('=') && /^[+:?]=/.test(rest))
    return { message: `write "=" between a key and its value, not "${rest.slice(0, 2)}"` };
  return undefined;
}

/** A header whose path has no quotes, or has them in the wrong place. */
function meantHeader(source: string, offset: number): Explanation | undefined {
  const start = source.lastIndexOf('\n', offset - 1) + 1;
  const line = restOfLine(source, start);
  const [, kind, path = ''] = /^\s*\[+\s*([a-z]+)\s*[. :/]\s*["'“”„‘’]?([^\]"'“”„‘’]*)["'“”„‘’]?\]+/.exec(line) ?? [];
  if (kind === undefined || !/^[A-Za-z0-9_.~/-]*$/.test(path) || !path.includes('/')) return undefined;
  return {
    message: 'the path in a header needs quotes, and a "." before it',
    hint: `write [${kind}."${path}"]`,
  };
}

function explainSaid(source: string, offset: number, said: string, statements: readonly Statement[]): Explanation {
  const twice =
    /(?:redefine existing key|extend table|extend inline table|append to statically defined array) '([\s\S]*)'/.exec(
      said,
    );
  if (twice !== null) {
    const first = firstDefinition(statements, offset);
    if (first === undefined) return { message: `${visible(cut(twice[1] ?? '', 60))} is defined twice` };
    const { line } = positionAt(source, first.offset);
    return {
      message: `${cut(first.name, 120)} is defined twice: line ${line} has it already`,
      hint: first.name === 'listen' ? 'write [[listen]] for each of several listeners' : 'remove one of the two',
    };
  }
  if (said.startsWith('Invalid escape sequence') || said.startsWith('Invalid Unicode escape'))
    return {
      message: `${shown(source, offset, source.slice(offset, offset + 2))} is not an escape that TOML knows`,
      hint: "write the backslash twice, or put the string in single quotes, 'like this'",
    };
  if (said.includes('64-bit') || said.includes('losslessly')) return { message: 'this number is too large' };
  if (said.startsWith('Maximum nesting depth')) return { message: 'lists or tables are nested too deeply' };
  return { message: visible(said.replace(/\.$/, '').replace(/^./, (letter) => letter.toLowerCase())) };
}

function unclosedString(source: string, offset: number, expected: ReadonlySet<string>): Explanation {
  const isLong = expected.has('"""') || expected.has("'''") || expected.has("''");
  const quote = expected.has('\\') ? '"' : "'";
  if (isLong) return { message: `a string that began with ${quote.repeat(3)} is not closed: the file ends in it` };
  const start = source.lastIndexOf(quote, offset - 1);
  return {
    message: `the string is not closed: ${quote} is missing at its end`,
    ...(start < 0 ? {} : { position: positionAt(source, start) }),
  };
}

function missingValue(source: string, offset: number): Explanation {
  const word = wordAt(source, offset);
  const rest = restOfLine(source, offset);
  if (rest === '' || rest.startsWith('#')) return { message: 'there is no value after "="' };
  if (rest.startsWith('=')) return { message: 'there is one "=" too many' };
  const bare = word.replace(/[,;]+$/, '');
  if (/^(true|yes|on)$/i.test(bare))
    return { message: `${shown(source, offset, word)} is not a value`, hint: 'write true' };
  if (/^(false|no|off)$/i.test(bare))
    return { message: `${shown(source, offset, word)} is not a value`, hint: 'write false' };
  if (/^[,\]}]/.test(rest)) return { message: `a value is missing before "${rest.slice(0, 1)}"` };
  const text = shown(source, offset, word);
  return { message: `${text} is not a value`, hint: `a text needs quotes${text === '(hidden)' ? '' : inQuotes(word)}` };
}

function unclosed(source: string, offset: number, isList: boolean): Explanation {
  const what = isList ? 'list' : 'table in braces';
  const bracket = isList ? ']' : '}';
  if (offset >= source.length) return { message: `the ${what} is not closed: "${bracket}" is missing` };
  return { message: `"," or "${bracket}" is missing before ${shown(source, offset, wordAt(source, offset))}` };
}

function missingEquals(source: string, offset: number, character: string): Explanation {
  if (character === ':' && /^[ \t]*\r?(\n|$)/.test(source.slice(offset + 1, offset + 100)))
    return {
      message: 'this is not TOML',
      hint: 'it looks like YAML; a section begins with a header such as [static."/"], and its lines are key = value',
    };
  if (character === ':') return { message: 'write "=" between a key and its value, not ":"' };
  if (isInHeader(source, offset)) return { message: 'the header is not closed: "]" is missing' };
  if (character === '' || character === '\n' || character === '\r')
    return { message: '"=" and a value are missing after the key' };
  return {
    message: `"=" is missing before ${shown(source, offset, wordAt(source, offset))}`,
    hint: 'a line is key = value; a key with spaces or signs in it needs quotes',
  };
}

function notANumber(source: string, word: { readonly text: string; readonly start: number }): Explanation {
  const text = shown(source, word.start, word.text);
  return {
    message: `${text} is not a number`,
    hint: text === '(hidden)' ? 'put it in quotes' : `write it in quotes${inQuotes(word.text.replace(/[;]+$/, ''))}`,
    position: positionAt(source, word.start),
  };
}

/** The end of a hint that shows a word as it has to be written; nothing for a word that quotes alone do not make a text, such as one with a control character. */
function inQuotes(word: string): string {
  return /^[A-Za-z0-9_@%+:./~*-]+$/.test(word) ? `: "${word}"` : '';
}

/** Text of the file for a message, unless it is on the line or in the table of a secret. */
function shown(source: string, offset: number, text: string): string {
  const line = source.slice(source.lastIndexOf('\n', offset - 1) + 1, offset);
  const header =
    source
      .slice(0, offset)
      .match(/^[ \t]*\[.*$/gm)
      ?.at(-1) ?? '';
  if (isSecret(`${header} ${line}`.split(/[^A-Za-z0-9_-]+/))) return '(hidden)';
  const cleared = visible(cut(text, 40));
  return text.includes('"') ? cleared : `"${cleared}"`;
}

function wordAt(source: string, offset: number): string {
  return /^[^\s,#\]}]+/.exec(source.slice(offset, offset + 200))?.[0] ?? source.slice(offset, offset + 1);
}

function wordAround(source: string, offset: number): { readonly text: string; readonly start: number } {
  const before = /[^\s,#[\]{}="']*$/.exec(source.slice(Math.max(0, offset - 200), offset))?.[0] ?? '';
  return {
    text: before + (/^[^\s,#[\]{}="']*/.exec(source.slice(offset, offset + 200))?.[0] ?? ''),
    start: offset - before.length,
  };
}

function restOfLine(source: string, offset: number): string {
  return /^[^\r\n]*/.exec(source.slice(offset, offset + 200))?.[0] ?? '';
}

function isInHeader(source: string, offset: number): boolean {
  return /^[ \t]*\[/.test(source.slice(source.lastIndexOf('\n', offset - 1) + 1, offset));
}

function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
