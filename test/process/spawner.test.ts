/** The contract of a spawner, over all. What only some can do is a value in `ROWS`, not a skipped test. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, readSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { loadKoffi } from '../../src/ops/addons/addon.ts';
import { openAssets } from '../../src/ops/assets.ts';
import { type Exit, SpawnError, type Spawner, type SpawnOptions } from '../../src/process/spawn.ts';
import {
  alive,
  collect,
  descriptors,
  firstLine,
  keepAlive,
  killQuietly,
  makeSpawner,
  readable,
  SPAWNERS,
  type SpawnerName,
  shell,
  statOf,
  until,
  zombies,
} from './support.ts';

interface Row {
  readonly name: SpawnerName;
  /** `/dev/stdin` and `/dev/stderr` can be opened: stdio is pipes, not sockets. */
  readonly realPipes: boolean;
  /** A file without #! that is no binary: the error's name, or undefined where /bin/sh runs it. */
  readonly noMagic: string | undefined;
  /** A descriptor that the gateway itself has inherited stays out of its programs. */
  readonly closesInherited: boolean;
  /** Signals without a name, 34 and up, are told. */
  readonly realTimeSignals: boolean;
  /** Programs are the children of this process. */
  readonly ownChildren: boolean;
  /** How many starts are cheap enough for a test. */
  readonly starts: number;
}

const ROWS: readonly Row[] = [
  {
    name: 'starter',
    realPipes: true,
    noMagic: 'ENOEXEC',
    closesInherited: true,
    realTimeSignals: true,
    ownChildren: false,
    starts: 3000,
  },
  {
    name: 'posix',
    realPipes: true,
    noMagic: 'ENOEXEC',
    closesInherited: true,
    realTimeSignals: true,
    ownChildren: true,
    starts: 3000,
  },
  {
    name: 'child_process',
    realPipes: false,
    noMagic: undefined,
    closesInherited: false,
    realTimeSignals: false,
    ownChildren: true,
    starts: 500,
  },
];

for (const row of ROWS.filter(({ name }) => SPAWNERS.includes(name))) {
  describe(`spawner ${row.name}`, { timeout: 120_000 }, () => {
    let spawner: Spawner;
    let folder: string;
    let release: () => void;

    before(async () => {
      release = keepAlive();
      spawner = makeSpawner(row.name);
      await spawner.prepare?.();
      folder = realpathSync(mkdtempSync(join(tmpdir(), 'runnel-spawner-')));
    });
    after(async () => {
      await spawner.close();
      rmSync(folder, { recursive: true });
      release();
    });

    async function run(options: SpawnOptions, input = ''): Promise<{ out: string; err: string; exit: Exit }> {
      const child = await spawner.spawn(options);
      child.stdin?.end(input);
      const [out, err, exit] = await Promise.all([collect(child.stdout), collect(child.stderr), child.exited]);
      return { out, err, exit };
    }

    function file(name: string, text: string, mode: number): string {
      const path = join(folder, name);
      writeFileSync(path, text);
      chmodSync(path, mode);
      return path;
    }

    test('stdin, stdout and stderr are three pipes', async () => {
      const result = await run(shell('cat; echo problem >&2'), 'one\ntwo');
      assert.deepEqual(result, { out: 'one\ntwo', err: 'problem\n', exit: { code: 0, signal: undefined } });
    });

    test('/dev/stderr and /dev/stdin can be opened by path', async () => {
      const { out, err } = await run(shell('echo x > /dev/stderr; cat /dev/stdin'), 'in');
      if (row.realPipes) assert.deepEqual([out, err], ['in', 'x\n']);
      else assert.match(err, /No such device or address/);
    });

    test('stderr is whole: of a program that is over at once, of one that lives on, of what it leaves behind', async () => {
      const scripts = [
        ['echo quick >&2', 'quick\n'],
        ['true', ''],
        ['sleep 0.1; echo slow >&2', 'slow\n'],
        ['(exec >&-; sleep 0.1; echo left >&2) & exit 0', 'left\n'],
      ] as const;
      for (const [script, expected] of scripts) {
        const child = await spawner.spawn(shell(script, { stdin: 'null' }));
        const [, err] = await Promise.all([collect(child.stdout), collect(child.stderr)]);
        assert.equal(err, expected, script);
      }
    });

    describe('the output of a brief program', () => {
      const BRIEF = { stdin: 'null', stderr: 'null', brief: true } as const;
      const scripts = [
        ['of one that is over at once', 'echo quick', 'quick\n'],
        ['nothing', 'true', ''],
        ['of one that lives on', 'echo early; sleep 0.1; echo late', 'early\nlate\n'],
        ['of what it leaves behind', 'echo own; (sleep 0.1; echo left) & exit 0', 'own\nleft\n'],
        ['as much as a pipe holds', 'head -c 65536 /dev/zero | tr "\\0" x', 'x'.repeat(65536)],
        ['more than a pipe holds', 'head -c 300000 /dev/zero | tr "\\0" x', 'x'.repeat(300_000)],
      ] as const;
      for (const [what, script, expected] of scripts) {
        test(`${what}: is whole`, async () => {
          const child = await spawner.spawn(shell(script, BRIEF));
          assert.equal(await collect(child.stdout), expected);
        });
      }

      test('paused before it came: it waits, and comes whole', async () => {
        const before = descriptors();
        const child = await spawner.spawn(shell('echo one; echo two', BRIEF));
        child.stdout.pause();
        await child.exited;
        assert.equal(await collect(child.stdout), 'one\ntwo\n');
        // Not "fewer than now": on a busy machine the pipe is read before its program is reaped, and closed by then.
        await until('its descriptor is closed', () => descriptors() <= before);
      });

      test('paused while it comes: the program waits', async () => {
        const child = await spawner.spawn(shell('exec yes', BRIEF));
        let length = 0;
        child.stdout.on('data', (chunk) => {
          length += chunk.length;
          child.stdout.pause();
        });
        await until('yes is blocked in write', () => length > 0 && statOf(child.pid)?.state === 'S');
        assert.ok(length <= 256 << 10, String(length));
        const first = length;
        child.stdout.resume();
        await until('more of it', () => length > first);
        child.stdout.destroy();
        await child.exited;
      });

      test('destroyed before it came, and while it waits', async () => {
        for (const when of ['before', 'after'] as const) {
          const before = descriptors();
          const child = await spawner.spawn(shell('echo one', BRIEF));
          child.stdout.pause();
          if (when === 'after') await child.exited;
          child.stdout.destroy();
          child.stdout.destroy();
          await until('the close', () => child.stdout.closed);
          await child.exited;
          await until('nothing is left open', () => descriptors() <= before);
        }
      });

      test('many at once: none keeps the pipe of another', async () => {
        const started = await Promise.all(Array.from({ length: 60 }, () => spawner.spawn(shell('echo it', BRIEF))));
        const all = await Promise.all(started.map((child) => collect(child.stdout)));
        assert.deepEqual(new Set(all), new Set(['it\n']));
      });
    });

    test('stderr that nobody reads is closed when the program is over', async () => {
      const child = await spawner.spawn(shell('exit 0', { stdin: 'null' }));
      child.stdout.resume();
      await until('the close', () => child.stderr?.closed === true);
    });

    test('stdin "null" is at its end at once; stderr "null" leads nowhere', async () => {
      const child = await spawner.spawn(shell('cat; echo lost >&2; echo end', { stdin: 'null', stderr: 'null' }));
      assert.equal(child.stdin, undefined);
      assert.equal(child.stderr, undefined);
      assert.equal(await collect(child.stdout), 'end\n');
      assert.deepEqual(await child.exited, { code: 0, signal: undefined });
    });

    test("stdin from an open descriptor, which stays the caller's", async () => {
      const descriptor = openSync(file('body', 'spooled', 0o600), 'r');
      assert.equal((await run(shell('cat', { stdin: descriptor }))).out, 'spooled');
      assert.equal(readSync(descriptor, Buffer.alloc(7), 0, 7, 0), 7);
      closeSync(descriptor);
    });

    test('the environment is what was given and nothing else', async () => {
      const env = (map: ReadonlyMap<string, string>) =>
        run({ ...shell(''), file: '/usr/bin/env', argv: ['env', '-0'], env: map });
      assert.equal((await env(new Map())).out, '');
      const wild = new Map([
        ['A', 'ä=1\n"$(x)"'],
        ['B', ''],
        ['__proto__', 'p'],
      ]);
      assert.equal((await env(wild)).out, 'A=ä=1\n"$(x)"\0B=\0__proto__=p\0');
    });

    test('argv arrives as given, argv[0] and empty arguments included', async () => {
      const argv = ['-own name', '', '/proc/self/cmdline'] as const;
      assert.equal(
        (await run({ ...shell(''), file: '/bin/cat', argv: [argv[0], argv[2]] })).out,
        `${argv[0]}\0${argv[2]}\0`,
      );
      const print = shell('for a; do printf "<%s>" "$a"; done');
      assert.equal((await run({ ...print, argv: [...print.argv, 'zero', '', 'ü "\\'] })).out, '<><ü "\\>');
    });

    test('the working directory', async () => {
      assert.equal((await run(shell('pwd -P', { directory: folder }))).out, `${folder}\n`);
    });

    for (const code of [0, 1, 3, 127, 255]) {
      test(`exit ${code}`, async () => {
        assert.deepEqual((await run(shell(`exit ${code}`))).exit, { code, signal: undefined });
      });
    }
    for (const signal of ['SIGHUP', 'SIGABRT', 'SIGKILL', 'SIGSEGV', 'SIGPIPE', 'SIGTERM', 'SIGUSR1']) {
      test(`ended by ${signal}`, async () => {
        const { exit } = await run(shell(`kill -s ${signal.slice(3)} $$; exec sleep 100`));
        assert.deepEqual(exit, { code: undefined, signal });
      });
    }
    test('ended by a real-time signal', async () => {
      const { exit } = await run(shell('kill -34 $$; exec sleep 100'));
      assert.equal(exit.signal, row.realTimeSignals ? 'SIG34' : undefined);
    });

    const program = (path: string): SpawnOptions => ({ ...shell(''), file: path, argv: [path] });
    const failures: readonly (readonly [what: string, code: string, options: () => SpawnOptions])[] = [
      ['no such file', 'ENOENT', () => program(join(folder, 'nothing'))],
      ['no such interpreter', 'ENOENT', () => program(file('lost', '#!/nowhere/sh\n', 0o755))],
      ['an interpreter with CR', 'ENOENT', () => program(file('dos', '#!/bin/sh\r\n', 0o755))],
      ['no such working directory', 'ENOENT', () => shell('true', { directory: join(folder, 'nothing') })],
      ['not executable', 'EACCES', () => program(file('plain', '#!/bin/sh\n', 0o644))],
      ['a folder', 'EACCES', () => program(folder)],
      ['a file in the place of a folder', 'ENOTDIR', () => program(join(file('flat', '', 0o644), 'x'))],
      ['an argument over 128 KiB', 'E2BIG', () => ({ ...shell(''), argv: ['sh', 'a'.repeat(200_000)] })],
      ['an environment over every limit', 'E2BIG', () => shell('', { env: new Map([['A', 'a'.repeat(9 << 20)]]) })],
      ['a NUL in an argument', 'EINVAL', () => ({ ...shell(''), argv: ['sh', 'a\0b'] })],
      ['a NUL in the environment', 'EINVAL', () => shell('', { env: new Map([['A', 'x\0B=y']]) })],
      ['a NUL in the path', 'EINVAL', () => program('/bin/true\0')],
      ['a NUL in the working directory', 'EINVAL', () => shell('', { directory: '/\0' })],
    ];
    for (const [what, code, options] of failures) {
      test(`${what}: ${code}, and no descriptor is left`, async () => {
        const count = descriptors();
        await assert.rejects(spawner.spawn(options()), (error) => error instanceof SpawnError && error.code === code);
        await until('as many descriptors as before', () => descriptors() === count);
      });
    }

    test('a file without #! that is no binary', async () => {
      const options = program(file('no-magic', 'echo hello\n', 0o755));
      if (row.noMagic === undefined) assert.equal((await run(options)).out, 'hello\n');
      else await assert.rejects(spawner.spawn(options), { code: row.noMagic });
    });

    test('it leads a session and a process group of its own', async () => {
      const child = await spawner.spawn(shell('cat'));
      const stat = statOf(child.pid);
      const parent = row.ownChildren ? process.pid : spawner.guardPid;
      assert.deepEqual([stat?.session, stat?.group, stat?.parent], [child.pid, child.pid, parent]);
      child.stdin?.end();
      await child.exited;
      child.stdout.destroy();
    });

    test('signals are as a login shell has them: none ignored, none blocked', async () => {
      const listener = () => undefined;
      process.on('SIGUSR2', listener);
      const { out } = await run({ ...shell(''), file: '/bin/cat', argv: ['cat', '/proc/self/status'] });
      process.off('SIGUSR2', listener);
      const bits = (name: string) => BigInt(`0x${new RegExp(`^${name}:\\s*(\\w+)`, 'm').exec(out)?.[1]}`);
      // 32 and 33 belong to the C library.
      const ofLibrary = (1n << 31n) | (1n << 32n);
      assert.equal(bits('SigBlk'), 0n);
      assert.equal(bits('SigIgn') & ~ofLibrary, 0n);
    });

    test('only descriptors 0 to 2, whatever the gateway was started with', async () => {
      const open = openSync('/dev/null', 'r');
      const library = (
        loadKoffi(openAssets()) as { load(n: string): { func(p: string): (...a: number[]) => number } }
      ).load('libc.so.6');
      // A duplicate has no close-on-exec, as a descriptor that came from a careless parent.
      const inherited = library.func('int dup2(int from, int to)')(open, 200);
      const { out } = await run({ ...shell(''), file: '/bin/ls', argv: ['ls', '/proc/self/fd'] });
      closeSync(inherited);
      closeSync(open);
      const listed = out.trim().split('\n');
      assert.equal(listed.includes('200'), !row.closesInherited);
      // 3 is the folder that ls reads.
      if (row.closesInherited) assert.deepEqual(listed, ['0', '1', '2', '3']);
    });

    test('stdout stays as it was left when the leader exits: nothing flows that nobody asked for', async () => {
      const child = await spawner.spawn(shell('printf %20000s x'));
      await child.exited;
      for (let turns = 0; turns < 5; turns++) await turn();
      assert.equal((await collect(child.stdout)).length, 20_000);
    });

    test('stdin stays open when the leader exits and a child of its still reads', async () => {
      const child = await spawner.spawn(shell('exec 3<&0; cat <&3 & exit 4'));
      assert.deepEqual(await child.exited, { code: 4, signal: undefined });
      child.stdin?.end('late');
      assert.equal(await collect(child.stdout), 'late');
    });

    test('writing to a program that does not read fails in the callback only', async () => {
      const child = await spawner.spawn(shell('exec <&-; echo closed; cat <&1 >&2'));
      await firstLine(child.stdout);
      const error = await new Promise((resolve) => child.stdin?.write('x', resolve));
      assert.equal((error as NodeJS.ErrnoException).code, 'EPIPE');
      killQuietly(child);
      await child.exited;
    });

    test('a program whose stdout nobody wants any more ends of SIGPIPE', async () => {
      const child = await spawner.spawn(shell('exec yes'));
      child.stdout.once('data', () => child.stdout.destroy());
      const exit = await child.exited;
      // A socket may answer the writer with ECONNRESET before EPIPE, which `yes` reports with status 1.
      if (row.realPipes) assert.deepEqual(exit, { code: undefined, signal: 'SIGPIPE' });
      else assert.notEqual(exit.code, 0);
      child.stderr?.destroy();
    });

    test('back-pressure: a program whose stdout is paused waits', async () => {
      const child = await spawner.spawn(shell('exec yes'));
      child.stdout.pause();
      await until('yes is blocked in write', () => statOf(child.pid)?.state === 'S');
      assert.ok(readable(child.stdout).readableLength <= 128 << 10);
      killQuietly(child);
      await child.exited;
    });

    test('the group is signalled with everybody in it, also after the leader has exited', async () => {
      const child = await spawner.spawn(shell('sleep 1000 & echo $!; exit 0', { stderr: 'null' }));
      const grandchild = Number(await firstLine(child.stdout));
      await child.exited;
      assert.equal(child.signalGroup(0), true);
      assert.equal(child.signalGroup('SIGKILL'), true);
      await until('the grandchild is gone', () => !alive(grandchild));
      child.stdout.destroy();
    });

    test('a group that is gone is never signalled again', async () => {
      const child = await spawner.spawn(shell('true'));
      await child.exited;
      assert.equal(child.signalGroup('SIGTERM'), false);
      assert.equal(child.signalGroup(0), false);
      child.stdout.destroy();
    });

    test('many starts at once do not mix their arguments', async () => {
      const results = await Promise.all(
        Array.from({ length: 60 }, (_, n) =>
          run(shell(`echo "<${n}><$N>"`, { env: new Map([['N', 'x'.repeat(n * 100)]]) })),
        ),
      );
      for (const [n, { out }] of results.entries()) assert.equal(out, `<${n}><${'x'.repeat(n * 100)}>\n`);
    });

    test('programs that end while the loop is busy are all reaped, and those of others are left to them', async () => {
      const stranger = new Promise<number>((resolve) =>
        execFile('/bin/sh', ['-c', 'exit 7'], (error) => resolve(Number(error?.code))),
      );
      const children = await Promise.all(
        Array.from({ length: 40 }, (_, n) => spawner.spawn(shell(`read x; exit ${n}`, { stderr: 'null' }))),
      );
      const exits = Promise.all(children.map((child) => child.exited));
      for (const child of children) child.stdin?.end('\n');
      const cell = new Int32Array(new SharedArrayBuffer(4));
      const deadline = performance.now() + 30_000;
      const allDead = () => children.every((child) => statOf(child.pid)?.state === 'Z');
      // Only the kernel works while this waits: many signals become one.
      while (!allDead() && performance.now() < deadline) Atomics.wait(cell, 0, 0, 5);
      assert.deepEqual(
        await exits,
        Array.from({ length: 40 }, (_, code) => ({ code, signal: undefined })),
      );
      assert.equal(await stranger, 7);
      for (const child of children) child.stdout.destroy();
      await until('no zombie', () => zombies() === 0);
    });

    test(`${row.starts} starts leave nothing behind`, async () => {
      const quick: SpawnOptions = { ...shell(''), file: '/bin/true', argv: ['true'], stdin: 'null', stderr: 'null' };
      await run(quick);
      const count = descriptors();
      let left = row.starts;
      const worker = async () => {
        while (left-- > 0) assert.deepEqual((await run(quick)).exit, { code: 0, signal: undefined });
      };
      await Promise.all(Array.from({ length: 8 }, worker));
      await until('as many descriptors as before', () => descriptors() === count);
      assert.equal(zombies(), 0);
    });
  });
}
