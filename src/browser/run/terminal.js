// One line of output as a terminal would show it: colours (ECMA-48 section 8.3.117, SGR), and what a program overwrites. All other
// escape sequences are removed. The result is text and styles, never HTML.

export const PLAIN = { fg: '', bg: '', on: '' };

const SEQUENCE =
  /(?:\x1b\[|\x9b)([0-?]*)[ -/]*([@-~])?|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]?|[\r\n\b]/g;
const SPECIAL = /[\x1b\x9b\r\n\b]/;
// What moves the cursor within the line.
const MOVES = /[\r\n\b]|(?:\x1b\[|\x9b)\d*[CDGKPX]/;
const MOST_COLUMNS = 4096;

// Control characters in caret notation (a tab stays a tab, bell and NUL are nothing); bidirectional overrides lose their power.
const CONTROL = /[\0-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;
function picture(character) {
  const code = character.charCodeAt(0);
  if (code === 0 || code === 7) return '';
  return code < 128 ? `^${String.fromCharCode(code ^ 64)}` : '\ufffd';
}

// Colour 0 to 255; of the first 16 the page has its own, which are readable on its paper, bright or not.
function palette(index) {
  if (index < 16) return `var(--c${index === 8 ? 7 : index % 8})`;
  if (index > 231) return `rgb(${Array(3).fill(8 + (index - 232) * 10)})`;
  const level = (value) => (value % 6 ? (value % 6) * 40 + 55 : 0);
  return `rgb(${[level(Math.trunc((index - 16) / 36)), level(Math.trunc((index - 16) / 6)), level(index - 16)]})`;
}

export function withSgr(style, parameters) {
  const codes = parameters.split(/[;:]/, 64).map((digits) => Math.min(255, Number(digits) || 0));
  let { fg, bg, on } = style;
  const ground = (code, colour) => {
    if (code % 60 < 40) fg = colour;
    else bg = colour;
  };
  while (codes.length > 0) {
    const code = codes.shift();
    if (code === 0) fg = bg = on = '';
    else if (code < 10) on = on.replace(String(code), '') + code;
    else if (code === 22) on = on.replace(/[12]/g, '');
    else if (code < 30) on = on.replace(String(code - 20), '');
    else if (code > 107 || code % 90 > 49) continue;
    else if (code % 10 < 8) ground(code, palette((code % 10) + (code < 90 ? 0 : 8)));
    else if (code % 10 === 9) ground(code, '');
    else if (codes[0] === 5) ground(code, palette(codes.splice(0, 2)[1] || 0));
    else if (codes[0] === 2) ground(code, `rgb(${codes.splice(0, 4).slice(1)})`);
  }
  return { fg, bg, on };
}

// The line as runs of one style each, and the style that goes on in the next line.
export function parseLine(line, style = PLAIN) {
  if (!SPECIAL.test(line)) return { runs: [{ text: line.replace(CONTROL, picture), style }], style };
  return MOVES.test(line) ? parseMoving(line, style) : parsePlain(line, style);
}

function parsePlain(line, first) {
  const runs = [];
  let style = first;
  let from = 0;
  const add = (text) => text && runs.push({ text: text.replace(CONTROL, picture), style });
  for (const match of line.matchAll(SEQUENCE)) {
    add(line.slice(from, match.index));
    if (match[2] === 'm') style = withSgr(style, match[1]);
    from = match.index + match[0].length;
  }
  add(line.slice(from));
  return { runs, style };
}

// Character by character, each in its column.
function parseMoving(line, first) {
  const cells = [];
  let style = first;
  let column = 0;
  let from = 0;
  const write = (text) => {
    for (const character of text) {
      if (column >= MOST_COLUMNS) return;
      while (cells.length < column) cells.push({ text: ' ', style: PLAIN });
      cells[column++] = { text: character.replace(CONTROL, picture), style };
    }
  };
  for (const match of line.matchAll(SEQUENCE)) {
    write(line.slice(from, match.index));
    from = match.index + match[0].length;
    const [sequence, parameters, final] = match;
    const count = Math.min(MOST_COLUMNS, Number.parseInt(parameters, 10) || 0);
    if (final === 'm') style = withSgr(style, parameters);
    else if (sequence === '\r' || sequence === '\n') column = 0;
    else if (sequence === '\b') column = Math.max(0, column - 1);
    else if (final === 'C') column = Math.min(MOST_COLUMNS, column + (count || 1));
    else if (final === 'D') column = Math.max(0, column - (count || 1));
    else if (final === 'G') column = Math.max(0, count - 1);
    else if (final === 'P') cells.splice(column, count || 1);
    else if (final === 'K' && count === 0) cells.length = Math.min(cells.length, column);
    else if (final === 'K' || final === 'X') {
      const to = final === 'X' ? column + (count || 1) : count === 1 ? column + 1 : cells.length;
      for (let at = final === 'X' ? column : 0; at < Math.min(to, cells.length); at++) cells[at] = { text: ' ', style };
    }
  }
  write(line.slice(from));
  const runs = [];
  for (const cell of cells) {
    const last = runs[runs.length - 1];
    if (last?.style === cell.style) last.text += cell.text;
    else runs.push({ ...cell });
  }
  return { runs, style };
}

// What clears the screen, or goes to its first line to write it anew.
const SCREEN = /(?:\x1b\[|\x9b)(?:1?(?:;1?)?[Hf]|[23]J)|\x1bc/;

// The line in parts, each but the first of a new screen; undefined for a line that stays on its screen.
export function screenParts(line) {
  if (!line.includes('\x1b') || !SCREEN.test(line)) return undefined;
  return line.split(SCREEN);
}
