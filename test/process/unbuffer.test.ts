/** Real programs that print a line and then wait: whether the line comes at once. What a spawner cannot do is a value in the table. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { wrap } from '../../src/process/confinement/confine.ts';
import { findProgram } from '../../src/process/find-program.ts';
import type { Spawner } from '../../src/process/spawn.ts';
import { planUnbuffering } from '../../src/process/unbuffer.ts';
import { keepAlive, killQuietly, makeSpawner, SPAWNERS, until } from './support.ts';

interface Row {
  readonly what: string;
  readonly command: readonly [string, ...string[]];
  /**
   * "talker": prints "one", then says "told" on stderr, then reads a line. "filter": copies its input.
   */
  readonly kind: 'talker' | 'filter';
  /** Whether stdbuf alone is enough. */
  readonly byStdbuf: boolean;
}

const C = `#include <stdio.h>
int main(void) { char line[9]; printf("one\\n"); fputs("told\\n", stderr); return fgets(line, 9, stdin) == NULL; }
`;
const AWK = 'BEGIN { print "one"; print "told" > "/dev/stderr"; getline < "-" }';
const PYTHON = 'import sys; print("one"); print("told", file=sys.stderr, flush=True); sys.stdin.readline()';
const PERL = 'print "one\\n"; print STDERR "told\\n"; <STDIN>';

const folder = mkdtempSync(join(tmpdir(), 'runnel-unbuffer-'));
after(() => rmSync(folder, { recursive: true }));

const ROWS: readonly Row[] = [
  { what: 'python', command: ['python3', '-c', PYTHON], kind: 'talker', byStdbuf: true },
  { what: 'mawk', command: ['mawk', AWK], kind: 'talker', byStdbuf: true },
  { what: 'gawk', command: ['gawk', AWK], kind: 'talker', byStdbuf: true },
  { what: 'perl', command: ['perl', '-e', PERL], kind: 'talker', byStdbuf: false },
  { what: 'C, linked dynamically', command: [join(folder, 'dynamic')], kind: 'talker', byStdbuf: true },
  { what: 'C, linked statically', command: [join(folder, 'static')], kind: 'talker', byStdbuf: false },
  { what: 'grep', command: ['grep', 'o'], kind: 'filter', byStdbuf: true },
  { what: 'sed', command: ['sed', 's/x/y/'], kind: 'filter', byStdbuf: true },
  { what: 'tr', command: ['tr', 'x', 'y'], kind: 'filter', byStdbuf: true },
  { what: 'a pipeline', command: ['sh', '-c', 'grep o | sed s/x/y/ | cut -c1-9'], kind: 'filter', byStdbuf: true },
];

const PATH = process.env['PATH'];
function found(name: string): string | undefined {
  try {
    return findProgram(name, PATH, '/');
  } catch {
    return undefined;
  }
}

const compiler = found('gcc');
if (compiler !== undefined) {
  writeFileSync(join(folder, 'one.c'), C);
  execFileSync(compiler, ['-o', join(folder, 'dynamic'), join(folder, 'one.c')]);
  execFileSync(compiler, ['-static', '-o', join(folder, 'static'), join(folder, 'one.c')]);
}

for (const name of SPAWNERS) {
  describe(`unbuffer, ${name}`, { timeout: 120_000 }, () => {
    let spawner: Spawner;
    let release: () => void;
    before(() => {
      release = keepAlive();
      spawner = makeSpawner(name);
    });
    after(async () => {
      await spawner.close();
      release();
    });

    for (const { what, command, kind, byStdbuf } of ROWS) {
      const comes = name !== 'child_process' || byStdbuf;
      test(`${what}: a line ${comes ? 'comes at once' : 'comes at the end'}`, async (t) => {
        const [program] = command;
        const file = found(program);
        if (file === undefined) return t.skip(`needs ${program.startsWith('/') ? 'gcc' : program}`);
        if (found('stdbuf') === undefined) return t.skip('needs stdbuf');
        const plan = planUnbuffering(spawner.terminals, found);
        const child = await spawner.spawn({
          env: new Map([['PATH', PATH ?? ''], ...plan.environment]),
          directory: undefined,
          stdin: 'pipe',
          stdout: plan.stdout,
          stderr: 'pipe',
          ...wrap(plan.wrapper, file, command),
        });
        t.after(() => killQuietly(child));
        const said = { out: '', err: '' };
        child.stdout.on('data', (chunk: Buffer) => {
          said.out += chunk.toString();
        });
        child.stderr?.on('data', (chunk: Buffer) => {
          said.err += chunk.toString();
        });
        if (kind === 'filter') child.stdin?.write('one\n');
        if (comes) await until(`"one" of ${what}`, () => said.out === 'one\n');
        else {
          await until(`"told" of ${what}`, () => said.err === 'told\n');
          for (let turns = 0; turns < 5; turns++) await turn();
          assert.equal(said.out, '');
        }
        child.stdin?.end(kind === 'filter' ? '' : '\n');
        assert.deepEqual(await child.exited, { code: 0, signal: undefined });
        await until('all of it', () => said.out === 'one\n');
      });
    }
  });
}

describe('planUnbuffering', () => {
  const stdbuf = (name: string): string | undefined => (name === 'stdbuf' ? '/bin/stdbuf' : undefined);
  test('a terminal, and nothing that programs do for people at one', () => {
    const { stdout, wrapper, environment, shortcoming } = planUnbuffering(true, stdbuf);
    assert.deepEqual([stdout, wrapper, shortcoming], ['terminal', ['/bin/stdbuf', '-oL'], undefined]);
    assert.deepEqual(Object.fromEntries(environment), {
      PYTHONUNBUFFERED: '1',
      TERM: 'dumb',
      NO_COLOR: '1',
      PAGER: 'cat',
    });
  });
  test('stdbuf alone', () => {
    const { stdout, wrapper, environment, shortcoming } = planUnbuffering(false, stdbuf);
    assert.deepEqual([stdout, wrapper], ['pipe', ['/bin/stdbuf', '-oL']]);
    assert.deepEqual([...environment.keys()], ['PYTHONUNBUFFERED']);
    assert.match(shortcoming ?? '', /only stdbuf/);
  });
  test('neither', () => {
    const { wrapper, shortcoming } = planUnbuffering(false, () => undefined);
    assert.deepEqual(wrapper, []);
    assert.match(shortcoming ?? '', /works only for Python here/);
  });
});
