/** `runnel version`. */
import { VERSION } from '../ops/version.ts';
import { EXIT } from './exit.ts';
import type { Verb } from './flags.ts';

export const version: Verb = {
  name: 'version',
  usage: 'runnel version',
  brief: 'the version, and what it runs on',
  doc: 'Prints the version, and what it runs on.',
  flags: {},
  words: false,
  async run() {
    process.stdout.write(`runnel ${VERSION} (Node ${process.versions.node}, ${process.platform}-${process.arch})\n`);
    return EXIT.ok;
  },
};
