/** What a client would rather have (RFC 9110 section 12.5). Pure. */
import type { HeaderList } from '../engine/engine.ts';

interface Weighted {
  /** In lower case, without parameters. */
  readonly value: string;
  /** 0 to 1; 0 means never. */
  readonly weight: number;
}

const ELEMENT = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:\/[!#$%&'*+.^_`|~0-9a-z-]+)?$/;
const QVALUE = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/** The elements of a list with quality values (section 12.4.2). One that cannot be read is left out; a wrong weight counts as 0. */
function weighted(field: string): readonly Weighted[] {
  return field.split(',').flatMap((part) => {
    const [value = '', ...parameters] = part
      .toLowerCase()
      .split(';')
      .map((piece) => piece.trim());
    if (!ELEMENT.test(value)) return [];
    const text = parameters.find((parameter) => parameter.startsWith('q='))?.slice('q='.length) ?? '1';
    return [{ value, weight: QVALUE.test(text) ? Number(text) : 0 }];
  });
}

/** A field that may be repeated, as one list; undefined when it is not there. */
export function listField(headers: HeaderList, name: string): string | undefined {
  let list: string | undefined;
  for (const [key, value] of headers) if (key === name) list = list === undefined ? value : `${list},${value}`;
  return list;
}

/**
 * The content coding to answer with (section 12.5.3): of those that are `offered`, best first, the one with the highest weight;
 * undefined for none of them. Where nothing is acceptable it is none too, which is what the RFC recommends.
 */
export function chooseCoding<T extends string>(field: string | undefined, offered: readonly T[]): T | undefined {
  if (field === undefined) return undefined;
  const listed = new Map(
    weighted(field).map(({ value, weight }) => [value === 'x-gzip' ? 'gzip' : value, weight] as const),
  );
  const others = listed.get('*') ?? 0;
  let best: T | undefined;
  // What is not named is acceptable but not asked for: anything with a weight is better.
  let bestWeight = listed.get('identity') ?? 0;
  for (const coding of offered) {
    const weight = listed.get(coding) ?? others;
    // As good as the file itself is good enough: it is smaller.
    if (weight > 0 && (weight > bestWeight || (best === undefined && weight === bestWeight))) {
      best = coding;
      bestWeight = weight;
    }
  }
  return best;
}

/** How much a client wants a media type such as "text/html" (section 12.5.1), 0 to 1: by the most exact range that has it. */
export function mediaWeight(field: string | undefined, type: string): number {
  if (field === undefined) return 1;
  const elements = weighted(field);
  const ranges = [type, `${type.slice(0, type.indexOf('/'))}/*`, '*/*'];
  for (const range of ranges) {
    const found = elements.filter(({ value }) => value === range);
    if (found.length > 0) return found.reduce((most, { weight }) => Math.max(most, weight), 0);
  }
  return 0;
}

/** Whether a client names HTML itself, as browsers do where a page is wanted, and programs do not. */
export function asksForHtml(headers: HeaderList): boolean {
  const field = listField(headers, 'accept');
  return field !== undefined && /text\/html/i.test(field) && mediaWeight(field, 'text/html') > 0;
}
