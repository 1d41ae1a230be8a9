/**
 * JSON Merge Patch (RFC 7396): what has to change to make one document of another, and making it. Pure.
 *
 * In a patch `null` means "take it away", so a member that is null cannot be told from one that is not there: documents are
 * compared, and handed out, without such members (`withoutNulls`). Elements of arrays are not members: an array is replaced whole.
 */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

/** Deeper documents are refused: nobody's status nests like that, and the stack has an end. */
const MAX_DEPTH = 500;

/** The function MergePatch of section 2. `target` is undefined where there is nothing yet. */
export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  // A map, and `fromEntries` at the end: a member called "__proto__" is a member like any other.
  const result = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else result.set(name, applyMergePatch(result.get(name), value));
  }
  return Object.fromEntries(result);
}

/**
 * The smallest patch that makes `to` of `from`; undefined when they are equal. `to` has no members that are null.
 * `from` is undefined where there is nothing yet.
 */
export function mergePatch(from: Json | undefined, to: Json): Json | undefined {
  if (!isObject(from) || !isObject(to)) return from !== undefined && areEqual(from, to) ? undefined : to;
  const patch: [string, Json][] = [];
  for (const name of Object.keys(from)) if (!Object.hasOwn(to, name)) patch.push([name, null]);
  for (const [name, value] of Object.entries(to)) {
    const change = mergePatch(Object.hasOwn(from, name) ? from[name] : undefined, value);
    if (change !== undefined) patch.push([name, change]);
  }
  return patch.length === 0 ? undefined : Object.fromEntries(patch);
}

/** The document as patches can tell it. Throws a `RangeError` for one that nests too deep. */
export function withoutNulls(document: Json): Json {
  checkDepth(document, 0);
  return applyMergePatch(undefined, document);
}

function checkDepth(value: Json, depth: number): void {
  if (depth > MAX_DEPTH) throw new RangeError(`nested deeper than ${MAX_DEPTH} levels`);
  if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value)) checkDepth(inner, depth + 1);
}

function areEqual(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (isArray(a) && isArray(b)) return a.length === b.length && a.every((item, at) => areEqual(item, b[at] ?? null));
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && areEqual(a[name] ?? null, b[name] ?? null))
  );
}

function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
