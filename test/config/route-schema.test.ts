/** That the configuration knows of a kind of route what the kind says of itself, and nothing else: it reads and checks one that does not exist. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import type { Objection } from '../../src/config/keys/programs.ts';
import { type Complete, programRouteKeys, routeKeys } from '../../src/config/keys/routes.ts';
import { readConfig, type Surroundings } from '../../src/config/load.ts';
import { formatPath } from '../../src/config/reading/problems.ts';
import { configReference } from '../../src/config/reference.ts';
import type { RouteSchema } from '../../src/config/route-schema.ts';
import { schemaOf } from '../../src/config/schema.ts';
import { text } from '../../src/config/values/simple.ts';
import { table } from '../../src/config/values/tables.ts';
import { required } from '../../src/config/values/value.ts';

const teaTable = table({ sort: required(text(), 'What is brewed.'), ...routeKeys });
const tea: RouteSchema<'tea', Complete<typeof teaTable>> = {
  name: 'tea',
  doc: 'Hot water.',
  table: teaTable,
  startsPrograms: false,
  folder: ({ sort }) => ({
    root: `/srv/${sort}`,
    holds: 'files',
    index: [],
    interpreted: [],
    answersAll: false,
  }),
  check({ routes }, reading) {
    for (const { kind, path, table: own } of routes)
      if (kind.name === 'tea' && own['sort'] === 'coffee') reading.problem([...path, 'sort'], 'is no tea');
  },
  doubt(key, { sort }, routes, reading) {
    const others = routes.find('', '/pot/' as Parameters<typeof routes.find>[1])?.value.kind.name;
    if (sort === 'mint') reading.doubt(['tea', key], `is an infusion, beside ${others}`);
  },
};
const potTable = table({ ...programRouteKeys });
const pot: RouteSchema<'pot', Complete<typeof potTable>> = {
  name: 'pot',
  doc: 'Vessels.',
  table: potTable,
  startsPrograms: true,
};
const SCHEMA = schemaOf([tea, pot]);

function read(file: { readonly [key: string]: unknown }, around?: Surroundings) {
  return readConfig(SCHEMA, file, 'test', around);
}

function problems(file: { readonly [key: string]: unknown }, around?: Surroundings): readonly string[] {
  const result = read(file, around);
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

describe('a kind of route', () => {
  test('has its table, and what it inherits', () => {
    const result = read({ defaults: { headers: { a: 'b' } }, tea: { '/t/': { sort: 'green', headers: { c: 'd' } } } });
    assert(result.ok);
    const route = result.config.tea.get('/t/');
    assert.equal(route?.sort, 'green');
    assert.deepEqual(
      [...(route?.headers ?? [])],
      [
        ['a', ['b']],
        ['c', ['d']],
      ],
    );
    assert.equal(route?.limits.body, result.config.defaults.limits.body);
    assert.equal(result.config.pot.size, 0);
    assert(Object.isFrozen(route));
  });

  test('has its own checks, beside those of every route', () => {
    const at = formatPath(['tea', '/t']);
    assert.deepEqual(problems({ tea: { '/t': { sort: 'coffee', cors: { origins: ['*'], credentials: true } } } }), [
      `${at}.cors.origins: "*" in origins cannot be used with credentials`,
      `${at}.sort: is no tea`,
    ]);
    assert.deepEqual(problems({ tea: { '/t': { sort: 'x' } }, pot: { '/t': {} } }), [
      'pot."/t": has the path of tea."/t": a path can have only one route',
    ]);
    assert.deepEqual(problems({}), [': there is no route: nothing would be served']);
    assert.deepEqual(problems({ static: { '/': { root: '.' } }, pot: { '/': {} } }), ['static: unknown key']);
  });

  test('that starts programs is asked what speaks against them, another one is not', () => {
    const asked: unknown[] = [];
    const objections = (confinement: unknown): readonly Objection[] => {
      asked.push(confinement);
      return [{ key: ['user'], message: 'is not there' }];
    };
    assert.deepEqual(problems({ tea: { '/t': { sort: 'x' } }, pot: { '/p': { user: 'nobody' } } }, { objections }), [
      'pot."/p".user: is not there',
    ]);
    assert.equal(asked.length, 1);
  });

  test('has its own doubts, and those about the folder that it serves', () => {
    const result = read({ tea: { '/t': { sort: 'mint' } }, pot: { '/pot/': {} } });
    assert(result.ok);
    assert.deepEqual(
      result.doubts.map(({ path, message }) => `${path}: ${message}`),
      [
        'tea."/t": only the index of root is served, at this one path; to serve the paths below it too, write tea."/t/"',
        'tea."/t": is an infusion, beside pot',
      ],
    );
  });

  test('is in the JSON Schema and on the reference page', () => {
    assert.match(JSON.stringify(configJsonSchema(SCHEMA)), /"tea":\{"type":"object","additionalProperties":/);
    const page = configReference(SCHEMA);
    assert.match(page, /^## `\[tea\."\/path"\]`\n\nHot water\.$/m);
    assert.match(page, /^\| `user` \|/m);
  });
});
