import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { formatProblem } from '../../src/config/reading/problems.ts';
import { MAX_SOURCE_BYTES } from '../../src/config/reading/source.ts';
import type { Config } from '../../src/gateway/config.ts';
import { type LoadResult, loadConfig, parseConfig, readConfig } from '../../src/gateway/config.ts';
import { reasonInWords } from '../../src/ops/system-errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'runnel-config-'));
after(() => rmSync(folder, { recursive: true }));

function problemsOf(result: LoadResult): readonly string[] {
  return result.ok ? [] : result.problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ''));
}

function configOf(result: LoadResult): Config {
  assert(result.ok, problemsOf(result).join('\n'));
  return result.config;
}

function written(name: string, content: string | Buffer): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

describe('a file that cannot be read', () => {
  test('is not there', () =>
    assert.deepEqual(problemsOf(loadConfig(join(folder, 'none.toml'))), ['none.toml: does not exist']));

  test('lies below a file', () =>
    assert.deepEqual(problemsOf(loadConfig(join(written('plain', ''), 'x.toml'))), [
      'plain/x.toml: does not exist: a part of its path is not a folder',
    ]));

  test('is a link to itself', () => {
    symlinkSync('loop.toml', join(folder, 'loop.toml'));
    const said = ['loop.toml: is a symbolic link that leads back to itself'];
    assert.deepEqual(problemsOf(loadConfig(join(folder, 'loop.toml'))), said);
  });

  test('is a device', () =>
    assert.deepEqual(problemsOf(loadConfig('/dev/null')), ['/dev/null: is not a regular file']));

  test('is too large', () => {
    const file = written('large.toml', Buffer.alloc(MAX_SOURCE_BYTES + 1, '#'));
    const said = 'large.toml: is larger than 1 MiB (1048577 bytes): this is not a configuration';
    assert.deepEqual(problemsOf(loadConfig(file)), [said]);
  });

  test('is as large as it may be', () => {
    const config = '[static."/"]\nroot = "."\n';
    const file = written('full.toml', `${config}${'#'.repeat(MAX_SOURCE_BYTES - config.length)}`);
    assert.equal(configOf(loadConfig(file)).static.size, 1);
  });

  test('may not be read, and by whom', () => {
    assert.equal(reasonInWords('EACCES', 'the user web'), 'may not be read by the user web');
    assert.match(reasonInWords('EPERM'), /^may not be read by the user \S+$/);
  });
  test('anything else has its name', () => assert.equal(reasonInWords('EIO'), 'cannot be read (EIO)'));
});

describe('a configuration', () => {
  test('has paths relative to its own folder, wherever it is loaded from', () => {
    mkdirSync(join(folder, 'www'));
    const config = configOf(loadConfig(written('relative.toml', '[static."/"]\nroot = "www"\n')));
    assert.equal(config.static.get('/')?.root, join(folder, 'www'));
  });

  test('tells where it came from', () => {
    const file = written('named.toml', '[static."/"]\nroot = "."\n');
    const result = loadConfig(file);
    assert(result.ok);
    assert.equal(result.file, file);
  });

  test('cannot be changed', () => {
    const source = '[cgi."/"]\ncommand = ["/bin/sh"]\nenv = { A = "1" }\n[defaults]\nheaders = { A = "1" }\n';
    const config = configOf(parseConfig(Buffer.from(source), 'x.toml'));
    const open: string[] = [];
    const walk = (value: unknown, name: string): void => {
      if (typeof value !== 'object' || value === null) return;
      if (!Object.isFrozen(value)) open.push(name);
      if (value instanceof Map) {
        assert.throws(() => value.set('x', 1), TypeError, name);
        assert.throws(() => value.delete('A'), TypeError, name);
        assert.throws(() => value.clear(), TypeError, name);
        for (const [key, entry] of value) walk(entry, `${name}."${key}"`);
      }
      for (const [key, entry] of Object.entries(value)) walk(entry, `${name}.${key}`);
    };
    walk(config, 'config');
    assert.deepEqual(open, []);
  });

  test('of two readings shares nothing that the first could have changed', () => {
    const source = Buffer.from('[static."/"]\nroot = "."\n');
    assert.deepEqual(configOf(parseConfig(source, 'x.toml')), configOf(parseConfig(source, 'x.toml')));
  });

  test('may come without a file, and then its problems have no place', () => {
    const config = configOf(readConfig({ stream: { '/': { command: ['sh'] } } }, 'the command line'));
    assert.deepEqual(config.stream.get('/')?.command, ['sh']);
    assert.deepEqual(problemsOf(readConfig({ stream: { '/': {} } }, 'the command line')), [
      'the command line: stream."/": needs one of "command", "root", "poll", "connect", "subscribe", "publish"',
    ]);
  });

  test("problems are in the file's order, whatever finds them", () => {
    const source = 'admin = 1\nstatic = 1\nlisten = 1\nbogus = 1\n[cgi."/%41"]\n[log]\nlevel = 1\n';
    const result = parseConfig(Buffer.from(source), 'x.toml');
    assert(!result.ok);
    assert.deepEqual(
      result.problems.map((problem) => problem.line),
      [1, 2, 3, 4, 5, 5, 7],
    );
  });
});

describe('a file that is made to hurt', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['a dotted key of 200,000 parts', `static."/".root${'.a'.repeat(200_000)} = 1\n`],
    ['a header of 200,000 parts', `[${'a.'.repeat(200_000)}a]\n`],
    ['lists 100,000 deep', `a = ${'['.repeat(100_000)}\n`],
    ['a string of a million signs', `[static."/"]\nroot = "${'x'.repeat(1_000_000)}"\n`],
    ['a program of a million signs', `[cgi."/"]\ncommand = ["${'x'.repeat(1_000_000)}"]\n`],
    ['a key of a million signs', `${'x'.repeat(1_000_000)} = 1\n`],
    ['the names of an object', '__proto__ = 1\nconstructor.prototype = 2\n[static.__proto__]\n[log]\ntoString = 1\n'],
  ];
  for (const [name, source] of cases)
    test(name, () => {
      const said = problemsOf(parseConfig(Buffer.from(source), 'x.toml'));
      assert(said.length > 0);
      for (const line of said) assert(line.length < 1000, `${line.length}: ${line.slice(0, 300)}`);
    });
});

// Those below it need what their heads prepare: examples.test.ts.
describe('every file of config/', () => {
  const folder = join(import.meta.dirname, '../../../config');
  const files = readdirSync(folder).filter((name) => name.endsWith('.toml'));
  test('loads', () => {
    assert.ok(files.includes('minimal.toml'));
    for (const file of files) assert.deepEqual(problemsOf(loadConfig(join(folder, file))), [], file);
  });
});
