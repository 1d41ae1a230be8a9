/** `runnel version`. */
import { VERSION } from '../../ops/version.ts';
import { EXIT, type Verb } from '../verb.ts';

export const version: Verb = {
  name: 'version',
  usage: 'runnel version',
  brief: 'print the version',
  doc: 'Prints the versions of runnel and of its Node, and the platform.',
  flags: {},
  words: 'none',
  async run() {
    process.stdout.write(`runnel ${VERSION} (Node ${process.versions.node}, ${process.platform}-${process.arch})\n`);
    return EXIT.ok;
  },
};
