/** `runnel schema`: the JSON Schema of a configuration, for editors. */
import { configJsonSchema } from '../../config/json-schema.ts';
import { SCHEMA } from '../../gateway/config.ts';
import { EXIT, type Verb } from '../verb.ts';

export const schema: Verb = {
  name: 'schema',
  usage: 'runnel schema',
  brief: 'print the JSON Schema of runnel.toml, for editors',
  doc: 'Prints the JSON Schema of runnel.toml. With it an editor completes and checks the file.',
  flags: {},
  words: 'none',
  async run() {
    process.stdout.write(`${JSON.stringify(configJsonSchema(SCHEMA), undefined, 2)}\n`);
    return EXIT.ok;
  },
};
