#!/usr/bin/env node
/** From the command line to an exit code. The only place that ends the process. */
import { basename } from 'node:path';
import { EXIT, overview, parseCommandLine, UsageError, type Verb, verbHelp } from './cli/verb.ts';
import { VERBS } from './cli/verbs.ts';
import { nearest } from './config/reading/suggest.ts';
import { complain } from './ops/logging/journal.ts';
import { systemCode } from './ops/system-errors.ts';
import { visibleLines } from './ops/visible.ts';

/** A link of this name to the executable, or to this file, stands for the verb of this name. */
const WEBSOCKETD = 'websocketd';

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === 'help' || first === '--help' || first === '-h') return await help(rest[0]);
  const isVersion = first === '--version' || first === '-v' || first === '-V';
  if (isVersion) return await (await verbNamed('version')).run({ flags: {}, words: [] });
  const byDefault = first === undefined || first.startsWith('-');
  const verb = await verbNamed(byDefault ? 'serve' : first, rest);
  // Its command line is another program's.
  if (verb.name === WEBSOCKETD) return await runWebsocketd(rest);
  const line = parseCommandLine(verb, byDefault ? args : rest);
  if (line !== 'help') return await verb.run(line, everyVerb);
  process.stdout.write(verbHelp(verb));
  return EXIT.ok;
}

async function runWebsocketd(args: readonly string[]): Promise<number> {
  const { runLine } = await import('./cli/websocketd/websocketd.ts');
  return await runLine(args);
}

async function help(name: string | undefined): Promise<number> {
  if (name === undefined || name === 'help') {
    process.stdout.write(overview(await everyVerb()));
    return EXIT.ok;
  }
  const verb = await verbNamed(name);
  process.stdout.write(verb.name === WEBSOCKETD ? verb.doc : verbHelp(verb));
  return EXIT.ok;
}

/** @param others what follows the name */
async function everyVerb(): Promise<readonly Verb[]> {
  return await Promise.all([...VERBS.values()].map((load) => load()));
}

async function verbNamed(name: string, others: readonly string[] = []): Promise<Verb> {
  const load = VERBS.get(name);
  if (load !== undefined) return await load();
  const { commandMeant } = await import('./cli/running/habits.ts');
  const meant = nearest(name, [...VERBS.keys(), 'help']);
  const hint = commandMeant(name, others) ?? (meant && `did you mean "${meant}"?`);
  throw new UsageError(`there is no command "${name}"${hint === undefined ? '' : `; ${hint}`}`);
}

// Node would answer USR1 by opening its debugger to every program of this user.
process.on('SIGUSR1', () => undefined);

const calledWebsocketd = [process.argv0, process.argv[1] ?? ''].some((path) => basename(path) === WEBSOCKETD);
const words = process.argv.slice(2);

/** From here on the exit codes are of commands that were cut: 124 by a timeout, as with timeout(1), and 128 and its number by a signal. */
const CUT = 124;

/** Ends the process behind what it has printed: a pipe takes 64 KiB at once, and the rest of a longer text waits until somebody reads. */
function end(code: number): void {
  const { stdout } = process;
  const failed = (error: Error): void => {
    // Whoever has read enough of a pipe and left has what they wanted.
    if (systemCode(error) === 'EPIPE') process.exit(code);
    complain(`cannot write to stdout: ${error.message}\n`, 'error');
    process.exit(EXIT.system);
  };
  stdout.on('error', failed);
  if (stdout.errored) failed(stdout.errored);
  // Whoever has set a time or sent a signal does not wait for a reader that does not read.
  else if (stdout.writableLength === 0 || code >= CUT) process.exit(code);
  else stdout.write('', () => process.exit(code));
}

(calledWebsocketd ? runWebsocketd(words) : main(words)).then(end, (error: unknown) => {
  if (error instanceof UsageError) {
    complain(`${visibleLines(error.message)}\n"runnel help" lists the commands.\n`, 'error');
    process.exit(EXIT.usage);
  }
  complain(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`, 'error');
  process.exit(EXIT.internal);
});
