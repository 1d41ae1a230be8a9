#!/usr/bin/env node
/** From the command line to an exit code. The only place that ends the process. */
import { check } from './cli/check/check.ts';
import { EXIT } from './cli/exit.ts';
import { parseFlags, UsageError, type Verb, verbHelp } from './cli/flags.ts';
import { hashPassword } from './cli/hash-password.ts';
import { help } from './cli/help.ts';
import { run } from './cli/run.ts';
import { schema } from './cli/schema.ts';
import { serve } from './cli/serve.ts';
import { tls } from './cli/tls/tls.ts';
import { token } from './cli/token.ts';
import { version } from './cli/version.ts';
import { nearest } from './config/reading/suggest.ts';
import { visibleLines } from './ops/visible.ts';

const VERBS: readonly Verb[] = [serve, check, run, tls, hashPassword, token, schema, version];

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === '--version' || first === '-v' || first === '-V') return version.run({ flags: {}, words: [] });
  if (first === 'help' || first === '--help' || first === '-h') {
    process.stdout.write(help(VERBS, rest[0]));
    return EXIT.ok;
  }
  const byDefault = first === undefined || first.startsWith('-');
  const verb = byDefault ? serve : VERBS.find(({ name }) => name === first);
  if (verb === undefined) {
    const meant = nearest(first ?? '', [...VERBS.map(({ name }) => name), 'help']);
    throw new UsageError(`there is no command "${first}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`);
  }
  const words = byDefault ? args : rest;
  if (words[0] === '--help' || words[0] === '-h') {
    process.stdout.write(verbHelp(verb));
    return EXIT.ok;
  }
  return verb.run(parseFlags(verb, words));
}

// Node would answer USR1 by opening its debugger to every program of this user.
process.on('SIGUSR1', () => undefined);

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    if (error instanceof UsageError) {
      process.stderr.write(`${visibleLines(error.message)}\nrunnel help shows what there is\n`);
      process.exit(EXIT.usage);
    }
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(EXIT.internal);
  },
);
