/** That the JSON Schema says the same as the loader, by a validator of just those words of draft 7 that the schema uses. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { parseToml } from '../../src/config/reading/toml.ts';
import { isTable } from '../../src/config/values/tables.ts';
import type { JsonSchema } from '../../src/config/values/value.ts';
import { SCHEMA } from '../../src/gateway/config.ts';

type Word = (wanted: unknown, value: unknown, schema: JsonSchema) => boolean;

function schemaOf(value: unknown): JsonSchema {
  assert(isTable(value));
  return value;
}

function listOf(value: unknown): readonly unknown[] {
  assert(Array.isArray(value));
  return value;
}

const TYPES: { readonly [name: string]: (value: unknown) => boolean } = {
  object: isTable,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
};

const WORDS: { readonly [name: string]: Word } = {
  $schema: () => true,
  title: () => true,
  description: () => true,
  default: () => true,
  type: (wanted, value) => TYPES[String(wanted)]?.(value) ?? assert.fail(String(wanted)),
  enum: (wanted, value) => listOf(wanted).includes(value),
  minimum: (wanted, value) => typeof value !== 'number' || value >= Number(wanted),
  maximum: (wanted, value) => typeof value !== 'number' || value <= Number(wanted),
  pattern: (wanted, value) => typeof value !== 'string' || new RegExp(String(wanted)).test(value),
  minLength: (wanted, value) => typeof value !== 'string' || value.length >= Number(wanted),
  minItems: (wanted, value) => !Array.isArray(value) || value.length >= Number(wanted),
  items: (wanted, value) => !Array.isArray(value) || value.every((item) => fits(schemaOf(wanted), item)),
  anyOf: (wanted, value) => listOf(wanted).some((one) => fits(schemaOf(one), value)),
  oneOf: (wanted, value) => listOf(wanted).filter((one) => fits(schemaOf(one), value)).length === 1,
  required: (wanted, value) => !isTable(value) || listOf(wanted).every((name) => Object.hasOwn(value, String(name))),
  dependencies: (wanted, value) =>
    !isTable(value) ||
    Object.entries(schemaOf(wanted)).every(
      ([name, others]) => !(name in value) || listOf(others).every((other) => Object.hasOwn(value, String(other))),
    ),
  properties: (wanted, value) =>
    !isTable(value) ||
    Object.entries(schemaOf(wanted)).every(([name, one]) => !(name in value) || fits(schemaOf(one), value[name])),
  propertyNames: (wanted, value) => !isTable(value) || Object.keys(value).every((name) => fits(schemaOf(wanted), name)),
  additionalProperties(wanted, value, schema) {
    if (!isTable(value)) return true;
    const known = Object.keys(schemaOf(schema['properties'] ?? {}));
    const further = Object.entries(value).filter(([name]) => !known.includes(name));
    return further.every(([, entry]) => wanted !== false && fits(schemaOf(wanted), entry));
  },
};

function fits(schema: JsonSchema, value: unknown): boolean {
  return Object.entries(schema).every(([word, wanted]) => {
    const check = WORDS[word] ?? assert.fail(`the validator does not know "${word}"`);
    return check(wanted, value, schema);
  });
}

const GOLDEN = join(import.meta.dirname, '../../../test/config/golden');
const right = readdirSync(GOLDEN)
  .filter((name) => name.endsWith('.toml') && existsSync(join(GOLDEN, `${basename(name, '.toml')}.json`)))
  .map((name) => basename(name, '.toml'));

function fileFits(name: string): boolean {
  const parsed = parseToml(readFileSync(join(GOLDEN, `${name}.toml`), 'utf8'));
  assert(parsed.ok);
  return fits(configJsonSchema(SCHEMA), parsed.table);
}

describe('the JSON Schema', () => {
  test('is draft 7, which the editors know', () =>
    assert.equal(configJsonSchema(SCHEMA)['$schema'], 'http://json-schema.org/draft-07/schema#'));

  for (const name of right) test(`accepts ${name}`, () => assert(fileFits(name)));

  // What an editor can know without the file system and without comparing one key with another.
  for (const name of [
    'bad-choices',
    'bad-durations',
    'bad-integers',
    'bad-sizes',
    'cgi-neither',
    'cgi-root-and-command-both',
    'commands-wrong',
    'environment-wrong',
    'headers-wrong',
    'index-with-a-folder',
    'keys-that-are-no-paths',
    'missing-keys',
    'route-without-a-path',
    'static-settings-wrong',
    'unknown-key-near',
    'unknown-table',
    'wrong-types',
  ])
    test(`refuses ${name}`, () => assert(!fileFits(name)));

  test('describes every key', () => {
    const silent: string[] = [];
    const walk = (value: unknown, name: string): void => {
      if (!isTable(value)) return;
      for (const [key, one] of Object.entries(isTable(value['properties']) ? value['properties'] : {})) {
        if (!isTable(one) || typeof one['description'] !== 'string') silent.push(`${name}.${key}`);
        walk(one, `${name}.${key}`);
      }
      walk(value['additionalProperties'], `${name}.*`);
      walk(value['items'], `${name}[]`);
    };
    walk(configJsonSchema(SCHEMA), '');
    assert.deepEqual(silent, []);
  });

  test('has no pattern that an editor written in Rust could not compile', () => {
    const patterns = JSON.stringify(configJsonSchema(SCHEMA)).match(/"pattern":"(?:[^"\\]|\\.)*"/g) ?? [];
    assert(patterns.length > 0);
    for (const pattern of patterns) assert.doesNotMatch(pattern, /\\\\0|\(\?[!=<]/, pattern);
  });
});
