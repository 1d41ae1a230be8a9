/** The types of values that name something on the disk: folders, files, programs. */
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { visible } from '../../ops/visible.ts';
import type { Credentials } from '../credentials.ts';
import { type DiskFailure, failureInWords, folderTrouble, programDoubt, programTrouble, UNSEEN } from '../disk/disk.ts';
import { quote } from '../reading/problems.ts';
import { distance, nearest } from '../reading/suggest.ts';
import { meantCommand, plainWords } from './meant.ts';
import type { KeyPath, Reading, ValueType } from './value.ts';

/** Linux's PATH_MAX, less the closing NUL. */
const MAX_PATH = 4095;

function absolute(value: unknown, directory: string): string | undefined {
  if (typeof value !== 'string' || value === '' || value.includes('\0') || value.length > MAX_PATH) return undefined;
  return isAbsolute(value) ? value : resolve(directory, value);
}

/** A path of the configuration, and where what is wrong with it is told. */
interface WrittenPath {
  /** Absolute. */
  readonly path: string;
  readonly written: string;
  /** For messages: "the file "x" (/etc/x)". */
  readonly name: string;
  readonly at: KeyPath;
  readonly reading: Reading;
  /** Tells what speaks against it, and answers whether it is good enough all the same. */
  allows(trouble: DiskFailure | undefined): boolean;
}

/** A path, made absolute from the folder of the configuration file. `judge` says whether what is there will do, and reports why not. */
function pathTo(thing: string, kind: 'folder' | 'file', judge: (path: WrittenPath) => boolean): ValueType<string> {
  return {
    expected: `the path of a ${thing}`,
    json: { type: 'string', minLength: 1 },
    read(value, at, reading) {
      const path = absolute(value, reading.directory);
      if (path === undefined) {
        reading.wrong(at, value, this.expected);
        return undefined;
      }
      const written = String(value);
      const name = `the ${kind} ${named(written, path)}`;
      const allows = (trouble: DiskFailure | undefined) =>
        canBeUsed(name, trouble, at, reading, unlikelyPath(value) ?? likelyPath(trouble, written, path, at, reading));
      return judge({ path, written, name, at, reading, allows }) ? path : undefined;
    },
  };
}

/** A folder that exists. */
export const folder = pathTo('folder', 'folder', ({ path, reading, allows }) =>
  allows(folderTrouble(reading.disk, path)),
);

/** A file that exists and can be read. */
export const file = pathTo('file', 'file', ({ path, reading, allows }) => {
  const seen = fileOn(reading, path);
  const head = 'failed' in seen ? seen : reading.disk.head(path);
  return allows('failed' in head ? head : undefined);
});

/** A file that is written to: it is made where it does not exist. */
export const writableFile = pathTo('file', 'file', ({ path, written, name, at, reading, allows }) => {
  const seen = reading.disk.look(path);
  if ('failed' in seen) {
    if (seen.failed !== 'ENOENT') return allows(seen);
    const place = dirname(path);
    const trouble = folderTrouble(reading.disk, place) ?? reading.disk.whyNotWritable(place);
    return canBeUsed(`the folder of ${name}`, trouble, at, reading, unlikelyPath(written));
  }
  return allows(seen.found === 'folder' ? { failed: 'EISDIR' } : reading.disk.whyFileNotWritable(path));
});

/**
 * A file of lines that exists and has nothing wrong in it.
 *
 * @param parse tells what is wrong with the text
 */
export function fileOf(what: string, parse: (text: string) => Credentials): ValueType<string> {
  return pathTo(`file of ${what}`, 'file', ({ path, written, name, at, reading, allows }) => {
    const seen = fileOn(reading, path);
    const text = 'failed' in seen ? seen : reading.disk.read(path);
    if (typeof text !== 'string') return allows(text);
    const { entries, problems } = parse(text);
    for (const { line, sentence } of problems.slice(0, 20))
      reading.problem(at, `line ${line} of ${quote(written)}: ${sentence}`);
    if (problems.length === 0 && entries.size === 0)
      reading.problem(at, `${name} contains no ${what}, so nobody could sign in`);
    return problems.length === 0 && entries.size > 0;
  });
}

/**
 * A file that is written to, and made where there is none.
 *
 * @param judge completes "the file X …" for the beginning of one that cannot be used
 */
export function writtenFile(thing: string, judge: (head: Buffer) => string | undefined): ValueType<string> {
  return pathTo(thing, 'file', ({ path, written, name, at, reading, allows }) => {
    const place = dirname(path);
    const trouble = folderTrouble(reading.disk, place) ?? reading.disk.whyNotWritable(place);
    if (trouble !== undefined)
      return canBeUsed(
        `the folder of ${quote(written)}, ${quote(place)},`,
        trouble,
        at,
        reading,
        unlikelyPath(written),
      );
    const seen = reading.disk.look(path);
    if ('failed' in seen) return seen.failed === 'ENOENT' || allows(seen);
    const head = seen.found === 'file' ? reading.disk.head(path) : ({ failed: 'EISDIR' } as const);
    if ('failed' in head) return allows(head);
    const wrong = judge(head);
    if (wrong !== undefined) reading.problem(at, `${name} ${wrong}`);
    return wrong === undefined;
  });
}

/** That a path is a regular file, or why not. */
function fileOn(reading: Reading, path: string): { readonly found: 'file' } | DiskFailure {
  const seen = reading.disk.look(path);
  if ('failed' in seen) return seen;
  return seen.found === 'file' ? { found: 'file' } : { failed: 'EISDIR' };
}

/** Tells what speaks against `what`, and answers whether it is good enough all the same. */
export function canBeUsed(
  what: string,
  trouble: DiskFailure | undefined,
  at: KeyPath,
  reading: Reading,
  hint?: string | undefined,
): boolean {
  if (trouble === undefined) return true;
  const sentence = `${what} ${failureInWords(trouble)}`;
  if (trouble.failed === UNSEEN) reading.doubt(at, sentence);
  else reading.problem(at, sentence, hint);
  return trouble.failed === UNSEEN;
}

/** What to do about a path that only a shell, another system or a browser would understand. */
function unlikelyPath(written: unknown): string | undefined {
  if (typeof written !== 'string') return undefined;
  if (written.startsWith('~'))
    return 'only a shell replaces "~": write the path of the home folder, such as "/home/pi"';
  if (VARIABLE.test(written)) return 'only a shell replaces variables: write the path itself';
  if (/^[A-Za-z]:[\\/]|^[^/]*\\/.test(written))
    return 'a path of Linux has "/" between its folders, as in "/home/pi/www"';
  if (/^(https?|file):\/\//i.test(written)) return 'write a path, not a URL';
  return undefined;
}

/** What to write instead of a path that leads nowhere, or to a file where a folder is needed. */
function likelyPath(
  trouble: DiskFailure | undefined,
  written: string,
  path: string,
  at: KeyPath,
  { disk }: Reading,
): string | undefined {
  const up = written.includes('/') ? written.slice(0, written.lastIndexOf('/') + 1) : '';
  if (trouble?.failed === 'ENOTDIR' && at.at(-1) === 'root') {
    const seen = disk.look(path);
    if (!('found' in seen) || seen.found !== 'file') return undefined;
    if (at[0] === 'cgi')
      return `for one program, write command = [${quote(isAbsolute(written) ? written : `./${written}`)}]`;
    return `write ${quote(up === '' ? '.' : up)}`;
  }
  if (trouble?.failed !== 'ENOENT') return undefined;
  const names = disk.names(dirname(path));
  const near = Array.isArray(names) ? nearest(basename(path), names) : undefined;
  // Of two files beside each other a longer distance is likely: "key.pem" and "a.pem".
  return near === undefined || distance(basename(path).toLowerCase(), near.toLowerCase(), 2) > 2
    ? undefined
    : `did you mean ${quote(`${up}${near}`)}?`;
}

/** A path as the user wrote it, and what it was taken for where that is not the same. */
function named(written: string, path: string): string {
  return written === path ? quote(path) : `${quote(written)} (${visible(path)})`;
}

/**
 * A program and its arguments. Never a shell line: nothing is expanded or split. A program with a slash is relative to
 * the configuration file; one without is looked up in PATH when it is checked and again when it is started.
 */
export const command: ValueType<readonly [string, ...string[]]> = {
  expected: 'a list of strings, the program first, such as ["vmstat", "-n", "1"]',
  json: { type: 'array', items: { type: 'string' }, minItems: 1 },
  read(value, at, reading) {
    if (typeof value === 'string') {
      const meant = meantCommand(value);
      reading.wrong(
        at,
        value,
        `${this.expected}: no shell splits it`,
        meant === undefined ? undefined : `write ${meant}`,
      );
      return undefined;
    }
    const parts: readonly unknown[] = Array.isArray(value) ? value : [];
    const strings = parts.filter((part): part is string => typeof part === 'string' && !part.includes('\0'));
    const [written, ...args] = strings;
    if (strings.length !== parts.length || written === undefined || written === '' || written.length > MAX_PATH) {
      const isPlain = parts.every((part) =>
        typeof part === 'string' ? strings.includes(part) : /^(number|boolean)$/.test(typeof part),
      );
      const meant = isPlain && strings.length < parts.length ? parts.map((part) => quote(String(part))) : undefined;
      reading.wrong(at, value, this.expected, meant && `write [${meant.join(', ')}]`);
      return undefined;
    }
    const program = written.includes('/') ? resolve(reading.directory, written) : written;
    doubtShellSigns(strings, at, reading);
    const line = args.length === 0 && /\s/.test(written) ? meantCommand(written) : undefined;
    return isProgram(written, program, [...at, 0], reading, line && `write ${line}`) ? [program, ...args] : undefined;
  },
};

/** What only a shell takes for more than a word. `;` is left out: find(1) takes it. */
const SHELL_SIGN = /^(\|\|?|&&?|[12&]?>{1,2}(&[12])?|<|[12&]?>{1,2}\/\S*)$/;
/** Programs that have such signs as arguments of their own. */
const TAKES_SIGNS = /(^|\/)(expr|test|\[)$/;
const VARIABLE = /^\$(\{[A-Za-z_]\w*\}|[A-Za-z_]\w*)/;

/** Arguments that reach the program as they are, where somebody has most likely thought of a shell. */
function doubtShellSigns(words: readonly string[], at: KeyPath, reading: Reading): void {
  const [program = '', ...args] = words;
  const line = `["sh", "-c", ${quote(words.map(shellWord).join(' '))}]`;
  for (const [index, arg] of args.entries()) {
    const path = [...at, index + 1];
    if (/^~(\/|$)/.test(arg)) reading.doubt(path, `${quote(arg)} is passed on as it is: only a shell replaces "~"`);
    else if (VARIABLE.test(arg) && !/(^|\/)[a-z]*sh$/.test(program))
      reading.doubt(
        path,
        `${quote(arg)} is passed on as it is: only a shell replaces variables; if you need one, write ${line}`,
      );
    else if (SHELL_SIGN.test(arg) && !TAKES_SIGNS.test(program)) {
      reading.doubt(
        path,
        `${quote(arg)} is passed to the program as an argument, because no shell reads it; if you need one, write ${line}`,
      );
      return;
    }
  }
}

function shellWord(word: string): string {
  return plainWords(word)?.length === 1 || SHELL_SIGN.test(word) || VARIABLE.test(word)
    ? word
    : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A program without arguments: as in `command`, a name with a slash is relative to the file, one without is looked up in PATH. */
export const program: ValueType<string> = {
  expected: 'a program, such as "/usr/bin/perl" or "perl"',
  json: { type: 'string', minLength: 1 },
  read(value, at, reading) {
    if (typeof value !== 'string' || value === '' || value.includes('\0') || value.length > MAX_PATH) {
      reading.wrong(at, value, this.expected);
      return undefined;
    }
    const path = value.includes('/') ? resolve(reading.directory, value) : value;
    return isProgram(value, path, at, reading) ? path : undefined;
  },
};

/** What to write for a program that lies beside the file, where PATH does not lead. */
function programBeside(written: string, { directory, disk }: Reading): string | undefined {
  const seen = written.includes('/') ? undefined : disk.look(resolve(directory, written));
  return seen !== undefined && 'found' in seen && seen.found === 'file' ? `write ${quote(`./${written}`)}` : undefined;
}

/** For a name without a slash nothing is likely: PATH has thousands. */
function likelyProgram(
  trouble: DiskFailure | undefined,
  written: string,
  program: string,
  at: KeyPath,
  reading: Reading,
): string | undefined {
  return written.includes('/') ? likelyPath(trouble, written, program, at, reading) : undefined;
}

function isProgram(
  written: string,
  program: string,
  at: KeyPath,
  reading: Reading,
  hint: string | undefined = unlikelyPath(written),
): boolean {
  const what = `the program ${named(written, program)}`;
  const trouble = programTrouble(reading.disk, program);
  if (
    !canBeUsed(
      what,
      trouble,
      at,
      reading,
      hint ?? programBeside(written, reading) ?? likelyProgram(trouble, written, program, at, reading),
    )
  )
    return false;
  const doubt = programDoubt(reading.disk, program);
  if (doubt !== undefined) reading.doubt(at, `${what} ${doubt}`);
  return true;
}
