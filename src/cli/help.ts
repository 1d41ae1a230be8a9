/** `runnel help`: all of it on one screen, or one verb. */
import { type Verb, verbHelp } from './flags.ts';

export function help(verbs: readonly Verb[], name: string | undefined): string {
  const verb = verbs.find((candidate) => candidate.name === name);
  if (verb !== undefined) return verbHelp(verb);
  const width = Math.max(...verbs.map(({ usage }) => usage.length));
  const rows = verbs.map(({ usage, brief }) => `  ${usage.padEnd(width)}  ${brief}\n`).join('');
  return `runnel: pages, CGI programs and live streams from one small gateway

${rows}  ${'runnel help [COMMAND]'.padEnd(width)}  this, or one command with its flags

  runnel run -- vmstat -n 1       a live page of it on http://127.0.0.1:8080/
  runnel serve -c runnel.toml     the gateway that the file describes
`;
}
