/** `runnel check`: what `serve` would say of a configuration, without starting anything. */
import { EXIT } from './exit.ts';
import type { Verb } from './flags.ts';
import { configFile, configFlag, readConfig } from './serve.ts';

export const check: Verb = {
  name: 'check',
  usage: 'runnel check [-c FILE]',
  brief: 'check a configuration, print every problem',
  doc: 'Checks a configuration and prints every problem of it, each with its place in the file.',
  flags: { config: configFlag },
  words: false,
  async run(given) {
    const file = configFile(given);
    const config = file === undefined ? undefined : readConfig(file);
    if (config === undefined) return EXIT.config;
    const routes = config.static.size + config.cgi.size + config.stream.size;
    process.stdout.write(
      `ok: ${config.listen.map(({ address }) => address.text).join(', ')}; ${routes} route${routes === 1 ? '' : 's'}\n`,
    );
    return EXIT.ok;
  },
};
