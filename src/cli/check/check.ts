/** `runnel check`: the problems that `serve` would find in a configuration, and warnings, without starting anything. */
import { everyRoute } from '../../gateway/config.ts';
import { visible } from '../../ops/visible.ts';
import { configFile, configFlag, problemCount, reread } from '../serve.ts';
import { EXIT, type Verb } from '../verb.ts';
import { becomeCheckedUser } from './checked-user.ts';
import { servedFileWarnings } from './served-files.ts';

export const check: Verb = {
  name: 'check',
  usage: 'runnel check [-c FILE] [--as USER]',
  brief: 'check a configuration and print every problem',
  doc: `Checks a configuration without starting anything. It prints every problem with its line and what to write instead, and exits
with 1 if there is one.

If runnel.service starts the gateway with this file, the check is for the user and the sandbox of that service, otherwise for
the user who runs it. As root it takes the rights of the other user and tries them. Otherwise it reads owners and permissions.`,
  flags: {
    config: configFlag,
    as: { value: 'USER', doc: 'check what this user may read and execute' },
  },
  words: 'none',
  async run({ flags, words }) {
    const file = configFile({ flags, words });
    if (file === undefined) return EXIT.config;
    const user = becomeCheckedUser(file, flags['as']);
    const read = reread(file, user.surroundings, user.system);
    if (!read.ok) {
      for (const problem of read.problems) process.stderr.write(`${visible(problem)}\n`);
      process.stderr.write(`${problemCount(read.problems)}, checked as ${user.name}\n`);
      return EXIT.config;
    }
    const { config, doubts } = read;
    for (const doubt of [
      ...doubts,
      ...servedFileWarnings(config, user.surroundings.disk).map((doubt) => `${file}: ${doubt}`),
    ])
      process.stderr.write(`warning: ${visible(doubt)}\n`);
    const routes = everyRoute(config).length;
    const addresses = config.listen.map(({ address }) => address.text).join(', ');
    process.stdout.write(`ok: ${addresses}; ${routes} route${routes === 1 ? '' : 's'}; checked as ${user.name}\n`);
    return EXIT.ok;
  },
};
