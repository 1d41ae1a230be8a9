/**
 * Makes a text safe to show: in what it answers a terminal finds nothing to obey, and every line is one. Control characters (C0, DEL, C1),
 * those that turn the direction of writing, line and paragraph separators, invisible ones (tags, too) and halves of surrogate pairs become \uXXXX.
 */
export function visible(text: string): string {
  return text.replace(
    /[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udfff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    (character) => character.split('').map(escapedUnit).join(''),
  );
}

function escapedUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** JSON that a terminal may be given: other escapes, the same data. */
export function visibleJson(value: unknown): string {
  return visible(JSON.stringify(value));
}

/** The same for a text of several lines, which stay. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}
