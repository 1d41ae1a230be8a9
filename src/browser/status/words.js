// Numbers and times in words for people, and texts of others.

/** Characters that nobody sees, or that turn the direction of writing, as \u202e: nothing looks like what it is not. Lines and tabs stay. */
export function visible(text) {
  return text.replace(
    /[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udfff]/g,
    (character) =>
      character
        .split('')
        .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join(''),
  );
}

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** 1536 → "1.5 KiB". */
export function size(bytes) {
  let at = 0;
  let value = bytes;
  while (value >= 1000 && at < SIZES.length - 1) {
    value /= 1024;
    at++;
  }
  return `${short(value)} ${SIZES[at]}`;
}

/** Three digits or so. */
export function short(value) {
  if (value >= 100 || value === 0) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(value >= 1 ? 3 : 2)));
}

const UNITS = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
];

/** Seconds → "3 d 4 h". */
export function span(seconds) {
  let left = Math.max(0, Math.floor(seconds));
  const words = [];
  for (const [unit, name] of UNITS) {
    if (left < unit && (words.length > 0 || unit > 1)) {
      if (words.length > 0) break;
      continue;
    }
    words.push(`${Math.floor(left / unit)} ${name}`);
    left %= unit;
    if (words.length === 2) break;
  }
  return words.join(' ');
}

/** {a: 1, b: 2} → "1 a, 2 b". */
export function counted(counts) {
  return Object.entries(counts)
    .map(([name, count]) => `${short(count)} ${name.replaceAll('_', ' ')}`)
    .join(', ');
}

/** Milliseconds since 1970 → a time of today, or a date with it. */
export function clock(time) {
  const date = new Date(time);
  const day = date.toDateString() === new Date().toDateString() ? '' : `${date.toISOString().slice(0, 10)} `;
  return day + date.toTimeString().slice(0, 8);
}

export function plural(count, one, many = `${one}s`) {
  return `${short(count)} ${count === 1 ? one : many}`;
}
