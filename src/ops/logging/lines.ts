/** Lines of the log that are about no request: plain for a person, or JSON for a machine. In neither a terminal finds anything to obey. */
import { visible } from '../visible.ts';
import type { Level, LogFields } from './fields.ts';

/** Without its end. */
export function jsonLine(level: Level, message: string, fields: LogFields | undefined): string {
  // Of what is escaped here nothing stands outside of strings, and JSON has the same notation.
  return visible(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }));
}

const COLOURS: { readonly [level in Level]: string } = { debug: '2', info: '0', warn: '33', error: '31' };

/** Without its end. */
export function plainLine(level: Level, message: string, fields: LogFields | undefined, colour: boolean): string {
  const time = new Date().toISOString().slice(11, 23);
  const rest = pairs(fields);
  const word = level.padEnd(5);
  const line = visible(message);
  return colour
    ? `\x1b[2m${time}\x1b[0m \x1b[${COLOURS[level]}m${word}\x1b[0m ${line}\x1b[2m${rest}\x1b[0m`
    : `${time} ${word} ${line}${rest}`;
}

/** Without time and level, where the reader has them already. */
export function bareLine(message: string, fields: LogFields | undefined): string {
  return visible(message) + pairs(fields);
}

function pairs(fields: LogFields | undefined): string {
  let rest = '';
  for (const [key, value] of Object.entries(fields ?? {})) {
    if (value === undefined) continue;
    const text = String(value);
    rest += ` ${key}=${visible(/^[^\s"=\x00-\x1f\x7f]+$/.test(text) ? text : JSON.stringify(text))}`;
  }
  return rest;
}
