// The blob that Node finds in its own executable and runs at start (Node's "single executable applications").
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** The blob's first word, since Node 20. */
const MAGIC = 0x0143da20;
const NO_WARNING = 1;
/** Otherwise no two code caches are equal. V8 does not count it among the options that a cache depends on. */
const REPRODUCIBLE = '--random-seed=1';

/**
 * Made by Node itself. A blob fits exactly one version of Node and one width of its words, not one processor: so `generator` is the
 * same version for the machine that builds. The blob stores the name of its main file as given, hence the relative one.
 *
 * @param useCodeCache also stores what V8 makes of the text, so that it need not be read whole at each start. V8 takes that only on the processor
 * that it was made on, and under the very options that it was made under.
 */
export function generateBlob(generator, execArgv, folder, main, useCodeCache) {
  const settings = {
    main,
    output: 'runnel.blob',
    disableExperimentalSEAWarning: true,
    useCodeCache,
    execArgv,
    // Neither NODE_OPTIONS nor a flag of the command line reaches Node.
    execArgvExtension: 'none',
  };
  writeFileSync(join(folder, 'sea.json'), JSON.stringify(settings));
  const program = join(process.cwd(), relative('.', generator));
  const options = [...execArgv, REPRODUCIBLE, '--experimental-sea-config', 'sea.json'];
  const run = spawnSync(program, options, { cwd: folder, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`Node could not make the blob: ${run.error?.message ?? run.stderr}`);
  return readFileSync(join(folder, 'runnel.blob'));
}

/**
 * By hand, for Node 20.11 with words of 32 bits, which nothing on a 64-bit machine would make: two words, then the name of the main
 * file and its source, each after its length.
 */
export function writeBlob32(main, source) {
  const word = (value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const sized = (bytes) => [word(bytes.length), bytes];
  return Buffer.concat([word(MAGIC), word(NO_WARNING), ...sized(Buffer.from(main)), ...sized(source)]);
}
