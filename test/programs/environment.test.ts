import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_PATH } from '../../src/ops/system/search-path.ts';
import { buildEnvironment, type RouteEnvironment } from '../../src/programs/environment.ts';

type Sources = Pick<RouteEnvironment, 'inherited' | 'base' | 'passEnv' | 'env'> & {
  readonly variables: ReadonlyMap<string, string>;
};

function build(changes: Partial<Sources>): { [name: string]: string } {
  const empty = { inherited: {}, base: new Map(), passEnv: [], env: new Map() };
  return Object.fromEntries(buildEnvironment({ ...empty, ...changes }, changes.variables ?? new Map()));
}

describe('what is inherited', () => {
  test('nothing but PATH, LANG, LC_ALL and TZ', () => {
    const inherited = {
      PATH: '/bin',
      LANG: 'C.UTF-8',
      LC_ALL: 'C',
      TZ: 'UTC',
      HOME: '/root',
      NODE_OPTIONS: '--inspect',
      LD_PRELOAD: '/x.so',
      SECRET: 's',
      HTTP_PROXY: 'http://proxy',
    };
    assert.deepEqual(build({ inherited }), { PATH: '/bin', LANG: 'C.UTF-8', LC_ALL: 'C', TZ: 'UTC' });
  });
  test('PATH has a default, and no other has', () => assert.deepEqual(build({}), { PATH: DEFAULT_PATH }));
  test('nothing for an application that somebody else starts', () =>
    assert.deepEqual(build({ inherited: undefined, passEnv: ['HOME'], env: new Map([['A', 'b']]) }), { A: 'b' }));
  test('pass_env names more; a name that is not set is not there', () => {
    const inherited = { HOME: '/root', LD_LIBRARY_PATH: '/opt/lib', EMPTY: '' };
    assert.deepEqual(build({ inherited, passEnv: ['HOME', 'LD_LIBRARY_PATH', 'EMPTY', 'MISSING'] }), {
      PATH: DEFAULT_PATH,
      HOME: '/root',
      LD_LIBRARY_PATH: '/opt/lib',
      EMPTY: '',
    });
  });
});

test('the base is replaced by everything else', () => {
  const base = new Map([
    ['HOME', '/home/ann'],
    ['USER', 'ann'],
    ['TERM', 'dumb'],
  ]);
  const built = build({
    base,
    inherited: { HOME: '/root', TERM: 'xterm' },
    passEnv: ['HOME'],
    env: new Map([['USER', 'x']]),
  });
  assert.deepEqual(built, { PATH: DEFAULT_PATH, HOME: '/root', USER: 'x', TERM: 'dumb' });
});

describe('who wins', () => {
  const cases: readonly (readonly [
    what: string,
    name: string,
    sources: { i?: string; v?: string; e?: string },
    expected: string,
  ])[] = [
    ['the request over what is inherited', 'REMOTE_USER', { i: 'root', v: 'ann' }, 'ann'],
    ['env over what is inherited', 'LANG', { i: 'de', e: 'C' }, 'C'],
    ['env over what the gateway concludes', 'SERVER_NAME', { v: 'localhost', e: 'board.example' }, 'board.example'],
    ['env over what the gateway concludes', 'HTTPS', { v: 'on', e: 'off' }, 'off'],
    ['env over what the gateway concludes', 'DOCUMENT_ROOT', { v: '/a', e: '/b' }, '/b'],
    ['the request over env: who asks', 'REMOTE_USER', { v: 'ann', e: 'admin' }, 'ann'],
    ['the request over env: who asks', 'REMOTE_ADDR', { v: '192.0.2.1', e: '127.0.0.1' }, '192.0.2.1'],
    ['the request over env: how much to read', 'CONTENT_LENGTH', { v: '7', e: '0' }, '7'],
    ['the request over env: its header fields', 'HTTP_COOKIE', { v: 'a=1', e: 'a=2' }, 'a=1'],
    ['env alone', 'REMOTE_USER', { e: 'kiosk' }, 'kiosk'],
    ['env alone, as a program behind a proxy needs it', 'HTTP_PROXY', { e: 'http://proxy:3128' }, 'http://proxy:3128'],
  ];
  for (const [what, name, { i, v, e }, expected] of cases) {
    test(`${what}: ${name}`, () => {
      const map = (value: string | undefined) => new Map(value === undefined ? [] : [[name, value]]);
      const sources = {
        inherited: i === undefined ? {} : { [name]: i },
        passEnv: [name],
        env: map(e),
        variables: map(v),
      };
      assert.equal(build(sources)[name], expected);
    });
  }
});

describe('what no environment can hold is refused, without showing the value', () => {
  for (const [what, name, value] of [
    ['a NUL in a value', 'A', 'secret\0B=1'],
    ['a NUL in a name', 'A\0', 'secret'],
    ['"=" in a name', 'A=B', 'secret'],
    ['an empty name', '', 'secret'],
  ] as const) {
    test(what, () => {
      for (const sources of [{ env: new Map([[name, value]]) }, { variables: new Map([[name, value]]) }]) {
        assert.throws(
          () => build(sources),
          (error) => error instanceof RangeError && !error.message.includes('secret'),
        );
      }
    });
  }
});
