/** What docs/proxy.md tells people to write, as they would copy it, and the applications that it is for. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { codeOf } from '../docs/pages.ts';
import { folderWith, runnel } from './gateway.ts';

/** Debian's, which has the packages of Debian. */
export const PYTHON = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : '';

/**
 * The configuration that the documentation gives below a heading, for another port. `runnel check` has nothing to say of it.
 *
 * @param files that it names
 */
export async function recipe(
  t: TestContext,
  heading: string,
  port: number,
  files: { readonly [path: string]: string } = {},
): Promise<string> {
  const config = codeOf('docs/proxy.md', 'toml', { below: heading }).replaceAll(
    /127\.0\.0\.1:\d+/g,
    `127.0.0.1:${port}`,
  );
  const folder = folderWith(t, { ...files, 'runnel.toml': `[[listen]]\naddress = "127.0.0.1:0"\n${config}` });
  const { code, stdout, stderr } = await runnel(['check', '-c', 'runnel.toml'], folder);
  assert.equal(code, 0, stdout + stderr);
  return config;
}

/** A program that is ended with the test. */
export function startApplication(
  t: TestContext,
  program: string,
  args: readonly string[],
  cwd: string,
): ChildProcess & { readonly lines: string[] } {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  });
  return Object.assign(child, { lines });
}
