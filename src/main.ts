#!/usr/bin/env node
/** From the command line to an exit code. The only place that ends the process. */
import { check } from './cli/check/check.ts';
import { connect } from './cli/connect/connect.ts';
import { hashPassword } from './cli/hash-password.ts';
import { run } from './cli/run.ts';
import { schema } from './cli/schema.ts';
import { serve } from './cli/serve.ts';
import { tls } from './cli/tls/tls.ts';
import { token } from './cli/token.ts';
import { EXIT, overview, parseCommandLine, UsageError, type Verb, verbHelp } from './cli/verb.ts';
import { version } from './cli/version.ts';
import { nearest } from './config/reading/suggest.ts';
import { visibleLines } from './ops/visible.ts';

const VERBS: readonly Verb[] = [serve, check, run, connect, tls, hashPassword, token, schema, version];

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === '--version' || first === '-v' || first === '-V') return version.run({ flags: {}, words: [] });
  if (first === 'help' || first === '--help' || first === '-h') return help(rest[0]);
  const byDefault = first === undefined || first.startsWith('-');
  const verb = byDefault ? serve : verbNamed(first);
  const line = parseCommandLine(verb, byDefault ? args : rest);
  return line === 'help' ? help(verb.name) : verb.run(line);
}

function help(name: string | undefined): number {
  process.stdout.write(name === undefined || name === 'help' ? overview(VERBS) : verbHelp(verbNamed(name)));
  return EXIT.ok;
}

function verbNamed(name: string): Verb {
  const verb = VERBS.find((candidate) => candidate.name === name);
  if (verb !== undefined) return verb;
  const meant = nearest(name, [...VERBS.map((candidate) => candidate.name), 'help']);
  throw new UsageError(`there is no command "${name}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`);
}

// Node would answer USR1 by opening its debugger to every program of this user.
process.on('SIGUSR1', () => undefined);

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    if (error instanceof UsageError) {
      process.stderr.write(`${visibleLines(error.message)}\n"runnel help" lists the commands.\n`);
      process.exit(EXIT.usage);
    }
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(EXIT.internal);
  },
);
