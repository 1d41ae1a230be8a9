// What a line of output is: a number, an object of JSON, the heading of a table.

const NUMBER =
  /^\s*(?:(\p{L}[\p{L}\p{N} _./-]{0,30})\s?[:=]\s{0,9})?([-+]?(?:\d{1,3}(?:,\d{3})+|\d{1,18})?(?:\.\d{1,18})?(?:e[-+]?\d{1,3})?)\s?([%\u00b0\u00b5\p{L}\u03a9\u00b2\u00b3/]{0,8})\s*$/iu;

// "21.5", "21.5 °C", "temperature: 21.5 °C"
export function numberIn(text) {
  if (text.length > 80) return undefined;
  const [, label = '', digits = '', unit = ''] = NUMBER.exec(text) ?? [];
  const value = Number(digits.replaceAll(',', ''));
  return /\d/.test(digits) && Number.isFinite(value) ? { label, digits, unit, value } : undefined;
}

export function objectIn(text) {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    const value = JSON.parse(text);
    return value && typeof value === 'object' ? value : undefined;
  } catch {
    return undefined;
  }
}

// The leaves of an object by their paths, such as "cpu.load" and "disks.0.free". At most `most`; `more` are left out.
export function fieldsOf(object, most) {
  const fields = [];
  let more = 0;
  const walk = (value, path, depth) => {
    if (value !== null && typeof value === 'object' && depth < 6) {
      for (const [name, inner] of Object.entries(value)) walk(inner, path === '' ? name : `${path}.${name}`, depth + 1);
    } else if (fields.length < most) fields.push([path, value]);
    else more++;
  };
  walk(object, '', 0);
  return { fields, more };
}

// A log line in JSON: what it says is in words.
export function isLogLine(object) {
  return ['msg', 'message', 'level', 'severity'].some((name) => Object.hasOwn(object, name));
}

// A number that counts or names, and does not measure.
export function isMeasured(path) {
  return !/(^|[._-])(t|ts|time|timestamp|date|epoch|id|uid|pid|seq|n|v|version)$/i.test(path);
}

const wordsOf = (line) =>
  [...line.matchAll(/\S+/g)].map(({ index, 0: text }) => ({ text, from: index, to: index + text.length }));
const isNumeric = ({ text }) => /^[-+]?\d[\d.,:]*[%a-zA-Z]{0,2}$/.test(text);

// Whether a line names the columns of the row below it: words that stand where its values stand.
export function isHeading(line, row) {
  if (line.length > 512 || row.length > 2048 || !/\S\s\s+\S/.test(line)) return false;
  const names = wordsOf(line);
  const values = wordsOf(row);
  if (names.length < 3 || values.length < 3 || names.some(isNumeric) || !values.some(isNumeric)) return false;
  // Wide values push those behind them aside: then as many numbers as names.
  const numbers = values.filter(isNumeric).length;
  if (names.length > 3 && names.length === values.length && numbers >= names.length * 0.8) return true;
  const aligned = names.filter((name) => values.some((value) => value.from === name.from || value.to === name.to));
  return aligned.length >= names.length * 0.6;
}

// The row above the names of columns, that groups them: "procs -----------memory----------" of vmstat.
export function isGroupHeading(line) {
  return /-{3,}|={3,}/.test(line) && wordsOf(line).length >= 2;
}
