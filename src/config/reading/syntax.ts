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
  if (expected.has('true') && expected.has('false')) return missingValue(source, offset);
  const word = wordAround(source, offset);
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
  if (/^[+-]?[0-9]/.test(word.text) && word.text.length > 1 && offset > word.start && character !== ',')
    return notANumber(source, word);
  if (character === '=') return { message: 'there is no key before "="' };
  if (character === '{')
    return { message: 'this is not TOML', hint: 'it looks like JSON, but a line of TOML is key = value' };
  if (character === '') return { message: 'the file ends in the middle of something' };
  if (expected.has('#') && !expected.has('[')) {
    if (character === ',') return { message: 'remove the comma at the end of the line' };
    return { message: `unexpected ${shown(source, offset, restOfLine(source, offset))} after the value` };
  }
  return {
    message: `unexpected ${shown(source, offset, character === '\n' ? 'end of the line' : wordAt(source, offset))}`,
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
    return { message: `${cut(first.name, 120)} is defined twice: it is in line ${line} already` };
  }
  if (said.startsWith('Invalid escape sequence') || said.startsWith('Invalid Unicode escape'))
    return {
      message: `${shown(source, offset, source.slice(offset, offset + 2))} is not an escape that TOML knows`,
      hint: "write the backslash twice, or put the string in single quotes, 'like this'",
    };
  if (said.includes('64-bit') || said.includes('losslessly')) return { message: 'this number is too large' };
  if (said.startsWith('Maximum nesting depth')) return { message: 'lists or tables are nested too deeply' };
  return { message: said.replace(/\.$/, '').replace(/^./, (letter) => letter.toLowerCase()) };
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
  if (/^[“”„‘’«»`]/.test(rest))
    return { message: `${shown(source, offset, rest.slice(0, 1))} is not a quotation mark of TOML`, hint: 'use "' };
  if (/^(true|yes|on)$/i.test(word))
    return { message: `${shown(source, offset, word)} is not a value`, hint: 'write true' };
  if (/^(false|no|off)$/i.test(word))
    return { message: `${shown(source, offset, word)} is not a value`, hint: 'write false' };
  if (/^[,\]}]/.test(rest)) return { message: `a value is missing before "${rest.slice(0, 1)}"` };
  return { message: `${shown(source, offset, word)} is not a value`, hint: 'a text needs quotes' };
}

function unclosed(source: string, offset: number, isList: boolean): Explanation {
  const what = isList ? 'list' : 'table in braces';
  const bracket = isList ? ']' : '}';
  if (offset >= source.length) return { message: `the ${what} is not closed: "${bracket}" is missing` };
  return { message: `"," or "${bracket}" is missing before ${shown(source, offset, wordAt(source, offset))}` };
}

function missingEquals(source: string, offset: number, character: string): Explanation {
  if (character === ':') return { message: 'write "=" between a key and its value, not ":"' };
  if (isInHeader(source, offset)) return { message: 'the header is not closed: "]" is missing' };
  if (character === '' || character === '\n' || character === '\r')
    return { message: '"=" and a value are missing after the key' };
  return {
    message: `"=" is missing before ${shown(source, offset, wordAt(source, offset))}`,
    hint: 'a key with spaces or signs in it needs quotes',
  };
}

function notANumber(source: string, word: { readonly text: string; readonly start: number }): Explanation {
  const text = shown(source, word.start, word.text);
  return {
    message: `${text} is not a number`,
    hint: 'write durations, sizes and addresses in quotes',
    position: positionAt(source, word.start),
  };
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
