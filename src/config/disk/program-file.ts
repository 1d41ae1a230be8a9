/** Why the kernel does not start a file that may be executed: what its first bytes say (execve(2), elf(5)). Pure. */

/** As many bytes as hold the first line of a script (256 for the kernel) and an ELF file's own table of parts. */
export const HEAD_BYTES = 4096;
/** What the kernel reads of a first line. */
const FIRST_LINE = 256;

export interface FileTrouble {
  /** Completes "the program X …". */
  readonly sentence: string;
  /** False where a handler of the kernel (binfmt_misc) or another PATH could make it start all the same. */
  readonly certain: boolean;
}

/**
 * @param head the first `HEAD_BYTES` of the file
 * @param interpreter what speaks against starting another file, as words that complete "X …"; for a name without a slash, in PATH
 */
export function programFileTrouble(
  head: Buffer,
  interpreter: (name: string) => string | undefined,
): FileTrouble | undefined {
  if (head.length === 0) return { sentence: 'is empty', certain: false };
  if (head.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'))) return elfTrouble(head, interpreter);
  if (head.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])))
    return {
      sentence:
        'begins with a byte order mark, behind which the system does not find "#!": save it as UTF-8 without one (sed -i \'1s/^\\xEF\\xBB\\xBF//\' FILE)',
      certain: true,
    };
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff))
    return { sentence: 'is saved as UTF-16, in which the system does not find "#!": save it as UTF-8', certain: true };
  if (head[0] === 0x23 && head[1] === 0x21) return scriptTrouble(head, interpreter);
  return {
    sentence: 'has no "#!" on its first line and is not a binary: write "#!/bin/sh", or what it is written in, there',
    certain: false,
  };
}

function scriptTrouble(head: Buffer, interpreter: (name: string) => string | undefined): FileTrouble | undefined {
  const [line = ''] = head.toString('latin1', 2, FIRST_LINE).split('\n', 1);
  const [name = '', ...rest] = line.replace(/^[ \t]+/, '').split(/[ \t]+/);
  if (line.endsWith('\r'))
    return {
      sentence: `has a first line that ends with CRLF, so that "\\r" belongs to ${rest.length === 0 ? 'the name of its interpreter' : "its interpreter's arguments"}: save it with the line ends of Unix (sed -i 's/\\r$//' FILE)`,
      certain: true,
    };
  if (name === '') return { sentence: 'names no interpreter behind "#!" on its first line', certain: true };
  if (!name.startsWith('/'))
    return {
      sentence: `names its interpreter "${name}" on its first line without a folder: write "#!/usr/bin/env ${name}"`,
      certain: true,
    };
  const trouble = interpreter(name);
  if (trouble !== undefined)
    return { sentence: `cannot start: its interpreter "${name}", named on its first line, ${trouble}`, certain: true };
  const [word] = rest;
  if (!/\/env$/.test(name) || word === undefined || !/^[^-=/][^=/]*$/.test(word)) return undefined;
  const missing = interpreter(word);
  return missing === undefined
    ? undefined
    : { sentence: `may not start: its interpreter "${word}", named on its first line, ${missing}`, certain: false };
}

/** Processors by `e_machine`, and those whose programs a processor of Node's name can run by itself. */
const MACHINES: { readonly [machine: number]: string } = {
  3: 'x86 of 32 bits',
  8: 'MIPS',
  20: 'PowerPC',
  40: 'ARM of 32 bits',
  62: 'x86 of 64 bits',
  183: 'ARM of 64 bits',
  243: 'RISC-V',
};
const RUNS: { readonly [arch: string]: readonly number[] } = { x64: [62, 3], arm64: [183, 40], arm: [40] };
const PT_INTERP = 3;

function elfTrouble(head: Buffer, interpreter: (name: string) => string | undefined): FileTrouble | undefined {
  // Of another byte order there is no processor here anyway.
  if (head.length < 64 || head[5] !== 1) return undefined;
  const machine = head.readUInt16LE(18);
  const runs = RUNS[process.arch];
  if (runs !== undefined && !runs.includes(machine))
    return {
      sentence: `is a binary for another processor (${MACHINES[machine] ?? `number ${machine}`})`,
      certain: false,
    };
  const loader = elfLoader(head);
  const trouble = loader === undefined ? undefined : interpreter(loader);
  return trouble === undefined
    ? undefined
    : {
        sentence: `cannot start: it was built for another system, whose loader "${loader}" ${trouble}`,
        certain: true,
      };
}

/** The dynamic loader that a binary names; undefined for a static one, or where it is named further behind. */
function elfLoader(head: Buffer): string | undefined {
  const wide = head[4] === 2;
  const table = wide ? Number(head.readBigUInt64LE(32)) : head.readUInt32LE(28);
  const size = head.readUInt16LE(wide ? 54 : 42);
  const count = head.readUInt16LE(wide ? 56 : 44);
  for (let at = table; at < table + count * size; at += size) {
    if (at + (wide ? 40 : 20) > head.length) return undefined;
    if (head.readUInt32LE(at) !== PT_INTERP) continue;
    const offset = wide ? Number(head.readBigUInt64LE(at + 8)) : head.readUInt32LE(at + 4);
    const end = head.indexOf(0, offset);
    return end > offset ? head.toString('latin1', offset, end) : undefined;
  }
  return undefined;
}
