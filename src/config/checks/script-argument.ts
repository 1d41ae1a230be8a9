/** A script that a command hands to its interpreter, as in ["python3", "clock.py"], and that the interpreter will not find. */
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { quote } from '../reading/problems.ts';
import type { KeyPath, Reading } from '../values/value.ts';

const INTERPRETERS = /^(?:python[\d.]*|perl|ruby|node|nodejs|deno|php[\d.]*|lua[\d.]*|tclsh|sh|bash|dash|ash|zsh)$/;
/** With these, what follows is a program text or a module and no file. */
const NO_FILE = /^-(?:[A-Za-z]*[cem]|-eval|-command|)$/;
const LOOKS_LIKE_A_SCRIPT = /^[^\s$*?]+\.(?:py|pl|rb|js|mjs|cjs|ts|php|lua|tcl|sh|cgi)$/;

/**
 * @param directory the working directory, where the route says it
 * @param usual the working directory otherwise, and what that is called
 */
export function doubtScriptArgument(
  at: KeyPath,
  command: readonly [string, ...string[]],
  directory: string | undefined,
  usual: { readonly path: string; readonly name: string },
  reading: Reading,
): void {
  const [program, ...args] = command;
  if (!INTERPRETERS.test(basename(program))) return;
  const index = args.findIndex((arg) => !/^-./.test(arg) || NO_FILE.test(arg));
  const script = args[index];
  if (script === undefined || !LOOKS_LIKE_A_SCRIPT.test(script)) return;
  const isThere = (path: string): boolean => {
    const seen = reading.disk.look(path);
    return !('failed' in seen) || seen.failed !== 'ENOENT';
  };
  const path = isAbsolute(script) ? script : join(directory ?? usual.path, script);
  if (isThere(path)) return;
  const beside = resolve(reading.directory, script);
  const advice =
    directory === undefined && isThere(beside)
      ? `; write directory = ".", or the whole path: ${quote(beside)}`
      : directory === undefined && !isAbsolute(script)
        ? `; ${usual.name} is the working directory, unless the key "directory" names another`
        : '';
  reading.doubt([...at, index + 1], `the script ${quote(script)} (${path}) does not exist${advice}`);
}

/** The folder of a program that is looked up in PATH; where it cannot be found, no folder that has a script. */
export function programFolder(program: string, { disk }: Reading): string {
  if (program.includes('/')) return dirname(program);
  const found = disk.searchPath.find((folder) => {
    const seen = disk.look(join(folder, program));
    return 'found' in seen && seen.found === 'file';
  });
  return found ?? '/';
}
