#!/usr/bin/env node
/** From the command line to an exit code. The only place that ends the process. */
import { basename } from 'node:path';
import { connect } from './cli/connect/connect.ts';
import { EXIT, overview, parseCommandLine, UsageError, type Verb, verbHelp } from './cli/verb.ts';
import { nearest } from './config/reading/suggest.ts';
import { visibleLines } from './ops/visible.ts';

/** A link of this name to the executable, or to this file, stands for the verb of this name. */
const WEBSOCKETD = 'websocketd';

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  // It needs nothing of the gateway, and others start it again and again: the other verbs would double the time until it connects.
  if (first === connect.name) return runVerb(connect, rest);
  const { VERBS, serve, version } = await import('./cli/verbs.ts');
  if (first === '--version' || first === '-v' || first === '-V') return version.run({ flags: {}, words: [] });
  if (first === 'help' || first === '--help' || first === '-h') return help(VERBS, rest[0]);
  const byDefault = first === undefined || first.startsWith('-');
  const verb = byDefault ? serve : verbNamed(VERBS, first);
  // Its command line is another program's.
  if (verb.name === WEBSOCKETD) return runWebsocketd(rest);
  return runVerb(verb, byDefault ? args : rest);
}

async function runVerb(verb: Verb, args: readonly string[]): Promise<number> {
  const line = parseCommandLine(verb, args);
  if (line !== 'help') return await verb.run(line);
  process.stdout.write(verbHelp(verb));
  return EXIT.ok;
}

async function runWebsocketd(args: readonly string[]): Promise<number> {
  const { runLine } = await import('./cli/websocketd/websocketd.ts');
  return await runLine(args);
}

function help(verbs: readonly Verb[], name: string | undefined): number {
  const verb = name === undefined || name === 'help' ? undefined : verbNamed(verbs, name);
  process.stdout.write(verb === undefined ? overview(verbs) : verb.name === WEBSOCKETD ? verb.doc : verbHelp(verb));
  return EXIT.ok;
}

function verbNamed(verbs: readonly Verb[], name: string): Verb {
  const verb = verbs.find((candidate) => candidate.name === name);
  if (verb !== undefined) return verb;
  const meant = nearest(name, [...verbs.map((candidate) => candidate.name), 'help']);
  throw new UsageError(`there is no command "${name}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`);
}

// Node would answer USR1 by opening its debugger to every program of this user.
process.on('SIGUSR1', () => undefined);

const calledWebsocketd = [process.argv0, process.argv[1] ?? ''].some((path) => basename(path) === WEBSOCKETD);
const words = process.argv.slice(2);

(calledWebsocketd ? runWebsocketd(words) : main(words)).then(
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
