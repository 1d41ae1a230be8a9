/** `runnel schema`: the JSON Schema of a configuration, for editors. */
import { configJsonSchema } from '../config/json-schema.ts';
import { EXIT } from './exit.ts';
import type { Verb } from './flags.ts';

export const schema: Verb = {
  name: 'schema',
  usage: 'runnel schema',
  brief: 'the JSON Schema of a configuration, for editors',
  doc: 'Prints the JSON Schema of runnel.toml, with which an editor completes and checks it.',
  flags: {},
  words: false,
  async run() {
    process.stdout.write(`${JSON.stringify(configJsonSchema(), undefined, 2)}\n`);
    return EXIT.ok;
  },
};
