/** What is new in a text that is read again and again: a log that grows, or its last lines. Pure. */

/** The lines of a text, as the framing "lines" has them. A last line without its end is one too. */
export function linesOf(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/**
 * The lines of `now` that `before` did not have. A text that has grown, or whose beginning was cut off (the last 100 lines of a
 * log), goes on where the end of `before` lies at its beginning, the longest such end; one without anything in common is all new.
 * A last line that had no end yet, and has more of it now, is new as a whole.
 */
export function newLines(before: string, now: string): readonly string[] {
  const [old, lines] = [linesOf(before), linesOf(now)];
  const known = overlap(old, lines);
  if (before.endsWith('\n') || known === old.length) return lines.slice(known);
  return lines.slice(Math.max(known, overlap(old.slice(0, -1), lines)));
}

/** The length of the longest end of `before` that is a beginning of `now`, in time proportional to both (Knuth, Morris and Pratt). */
export function overlap(before: readonly string[], now: readonly string[]): number {
  // borders[i]: of the first i + 1 lines of `now`, the length of the longest proper end that is also a beginning.
  const borders: number[] = [];
  const extend = (matched: number, line: string | undefined): number => {
    let length = matched;
    while (length > 0 && (length === now.length || now[length] !== line)) length = borders[length - 1] ?? 0;
    return now[length] === line && length < now.length ? length + 1 : 0;
  };
  let matched = 0;
  now.forEach((line, at) => {
    matched = at === 0 ? 0 : extend(matched, line);
    borders.push(matched);
  });
  matched = 0;
  for (const line of before) matched = extend(matched, line);
  return matched;
}
