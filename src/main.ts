#!/usr/bin/env node
/** From the command line to an exit code. The only place that ends the process. */
import { basename } from 'node:path';
import { check } from './cli/check/check.ts';
import { connect } from './cli/connect/connect.ts';
import { hashPassword } from './cli/hash-password.ts';
import { files } from './cli/one-line/files.ts';
import { run } from './cli/run.ts';
import { schema } from './cli/schema.ts';
import { serve } from './cli/serve.ts';
import { tls } from './cli/tls/tls.ts';
import { token } from './cli/token.ts';
import { EXIT, overview, parseCommandLine, UsageError, type Verb, verbHelp } from './cli/verb.ts';
import { version } from './cli/version.ts';
import { runLine, websocketd } from './cli/websocketd/websocketd.ts';
import { nearest } from './config/reading/suggest.ts';
import { visibleLines } from './ops/visible.ts';

const VERBS: readonly Verb[] = [
  serve,
  check,
  run,
  files,
  connect,
  websocketd,
  tls,
  hashPassword,
  token,
  schema,
  version,
];

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === '--version' || first === '-v' || first === '-V') return version.run({ flags: {}, words: [] });
  if (first === 'help' || first === '--help' || first === '-h') return help(rest[0]);
  const byDefault = first === undefined || first.startsWith('-');
  const verb = byDefault ? serve : verbNamed(first);
  // Its command line is another program's.
  if (verb === websocketd) return runLine(rest);
  const line = parseCommandLine(verb, byDefault ? args : rest);
  return line === 'help' ? help(verb.name) : verb.run(line);
}

function help(name: string | undefined): number {
  const verb = name === undefined || name === 'help' ? undefined : verbNamed(name);
  process.stdout.write(verb === undefined ? overview(VERBS) : verb === websocketd ? verb.doc : verbHelp(verb));
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

/** A link of this name to the executable, or to this file, stands for the verb. */
const calledWebsocketd = [process.argv0, process.argv[1] ?? ''].some((path) => basename(path) === websocketd.name);
const words = process.argv.slice(2);

(calledWebsocketd ? runLine(words) : main(words)).then(
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
