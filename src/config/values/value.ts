/**
 * What a configuration is described with: a `ValueType` reads one TOML value into what the code works with, or says what it
 * had expected, and tells the JSON Schema and the reference page about itself; a `Key` is such a type with a default and a sentence.
 */
import type { Disk } from '../disk/disk.ts';

/** Keys from the root of the file to a value, for example `['stream', '/live', 'interval']`; numbers are list indexes. */
export type KeyPath = readonly (string | number)[];

/** The service that a configuration is for. */
export interface Service {
  /** Whether its unit has a credential of this name. */
  hasCredential(name: string): boolean;
  /** Whether this process has the environment that the service has. */
  readonly sameEnvironment: boolean;
}

/** What reading goes by, and where a type of values reports what is wrong. */
export interface Reading {
  /** Relative paths in the file are relative to this folder. */
  readonly directory: string;
  readonly disk: Disk;
  /** Set where the gateway is judged beside its service: what systemd hands to that alone is not known here. */
  readonly service?: Service | undefined;
  /** The value at `path` is not what it must be; `expected` completes "must be …", `hint` says what to write where that is known. */
  wrong(path: KeyPath, value: unknown, expected: string, hint?: string | undefined): void;
  /** Anything else that is wrong at `path`: a whole sentence without its full stop, and what to do about it. */
  problem(path: KeyPath, sentence: string, hint?: string | undefined): void;
  /** Something at `path` that may be a mistake, but is not one for certain: the gateway starts all the same. */
  doubt(path: KeyPath, sentence: string): void;
  /**
   * A key that nobody knows; `known` are the ones that could have been meant.
   *
   * @returns which of them is meant, where that is as good as certain
   */
  unknown(path: KeyPath, known: readonly string[], value: unknown): string | undefined;
}

export type JsonSchema = { readonly [key: string]: unknown };

/** What a type of values is made of, for those who describe it. */
export type Structure =
  | { readonly is: 'table'; readonly fields: Fields; readonly note?: string | undefined }
  | { readonly is: 'map'; readonly item: ValueType<unknown> }
  | { readonly is: 'list'; readonly item: ValueType<unknown> };

/** A type of values: how one is read, and how it is described. */
export interface ValueType<T> {
  /** Completes "must be …". */
  readonly expected: string;
  readonly json: JsonSchema;
  /** Undefined for a plain value. */
  readonly structure?: Structure;
  /** The value for the code, or undefined after having reported why not. */
  read(value: unknown, path: KeyPath, reading: Reading): T | undefined;
}

/** One key of a table: the type of its value, the default in TOML's own notation, and a sentence why one would set it. */
export interface Key<T> {
  readonly type: ValueType<unknown>;
  readonly doc: string;
  readonly required: boolean;
  readonly default: unknown;
  /** Never set: carries the type for the compiler. */
  readonly carries?: T;
}

export type Fields = { readonly [name: string]: Key<unknown> };
export type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Key<infer T> ? T : never };

export function required<T>(type: ValueType<T>, doc: string): Key<T> {
  return { type, doc, required: true, default: undefined };
}

/** A key that may be left out and then is undefined. */
export function optional<T>(type: ValueType<T>, doc: string): Key<T | undefined> {
  return { type, doc, required: false, default: undefined };
}

/** A key that may be left out; `value` is what a user would have written to get the default. */
export function preset<T>(type: ValueType<T>, value: unknown, doc: string): Key<T> {
  return { type, doc, required: false, default: value };
}
