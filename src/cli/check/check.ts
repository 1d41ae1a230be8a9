/** `runnel check`: what `serve` would say of a configuration, without starting anything, and what else can be seen from outside. */
import { visible } from '../../ops/visible.ts';
import { EXIT } from '../exit.ts';
import type { Verb } from '../flags.ts';
import { configFile, configFlag, problemCount, reread } from '../serve.ts';
import { doubtsAround } from './around.ts';
import { judgeFor } from './judge.ts';

export const check: Verb = {
  name: 'check',
  usage: 'runnel check [-c FILE] [--as USER]',
  brief: 'check a configuration, print every problem',
  doc: `Checks a configuration and prints every problem of it, each with its place in the file.

It is judged for the user and the sandbox of runnel.service where it is the file that the service is started with, otherwise
for whoever runs this. Root tries what the other user may; anybody else goes by owners and permissions.`,
  flags: {
    config: configFlag,
    as: { value: 'USER', doc: 'judge what this user may read, execute and enter' },
  },
  words: false,
  async run({ flags, words }) {
    const file = configFile({ flags, words });
    if (file === undefined) return EXIT.config;
    const { as } = flags;
    const judge = judgeFor(file, typeof as === 'string' ? as : undefined);
    const read = reread(file, judge.around, judge.system);
    if (!read.ok) {
      for (const problem of read.problems) process.stderr.write(`${visible(problem)}\n`);
      process.stderr.write(`${problemCount(read.problems)}, judged for ${judge.whom}\n`);
      return EXIT.config;
    }
    const { config, doubts } = read;
    for (const doubt of [...doubts, ...doubtsAround(config, judge.around.disk).map((doubt) => `${file}: ${doubt}`)])
      process.stderr.write(`warning: ${visible(doubt)}\n`);
    const routes = config.static.size + config.cgi.size + config.fastcgi.size + config.stream.size;
    const addresses = config.listen.map(({ address }) => address.text).join(', ');
    process.stdout.write(`ok: ${addresses}; ${routes} route${routes === 1 ? '' : 's'}; judged for ${judge.whom}\n`);
    return EXIT.ok;
  },
};
