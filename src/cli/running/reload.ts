/** `runnel reload`: has the running gateway read its configuration anew, and tells what came of it. */
import type { ReloadChanges, ReloadOutcome } from '../../gateway/control/protocol.ts';
import { visible, visibleLines } from '../../ops/visible.ts';
import { problemCount } from '../serve.ts';
import { EXIT, type Verb } from '../verb.ts';
import { Conversation, chosenGateway, describe, gatewayFlags, NotFound } from './find.ts';
import { timeFlag, within } from './time.ts';

const USUAL_TIME = '60s';

export const reload: Verb = {
  name: 'reload',
  usage: 'runnel reload [-c FILE]',
  brief: 'make the running gateway read its file again',
  doc: `Makes the running gateway read its configuration and its certificates again, waits, and prints what has changed. If the new
configuration has a problem, the gateway keeps the old one; the problems are printed, and the exit status is 1.

The exit status is 69 if no gateway is running, 77 if it is another user's, 75 if it has not answered in time.`,
  flags: {
    ...gatewayFlags,
    timeout: timeFlag(`how long to wait for the outcome (default ${USUAL_TIME})`),
  },
  words: 'none',
  async run(line) {
    const patience = within(line.flags['timeout'] ?? USUAL_TIME);
    try {
      const { identity, path } = await chosenGateway(line);
      const conversation = new Conversation(path);
      const late = setTimeout(() => conversation.close(), patience);
      const outcome = await outcomeOf(conversation).finally(() => clearTimeout(late));
      if (outcome !== undefined) return tell(outcome, describe(identity));
      process.stderr.write(
        `${describe(identity)} did not report the result of the reload within ${patience / 1000} s; see its log, and "runnel status" for the configuration in use\n`,
      );
      return EXIT.late;
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
      process.stderr.write(`${visibleLines(error.message)}\n`);
      return error.code;
    }
  },
};

async function outcomeOf(conversation: Conversation): Promise<ReloadOutcome | undefined> {
  for await (const reply of conversation.replies({ do: 'reload' })) {
    if ('reloaded' in reply) return reply['reloaded'] as ReloadOutcome;
    if ('refused' in reply) return { ok: false, summary: '', problems: [String(reply['refused'])] };
  }
  return undefined;
}

function tell(outcome: ReloadOutcome, gateway: string): number {
  if (!outcome.ok) {
    for (const problem of outcome.problems) process.stderr.write(`${visible(problem)}\n`);
    process.stderr.write(`${problemCount(outcome.problems)}: ${gateway} keeps the old configuration\n`);
    return EXIT.config;
  }
  for (const doubt of outcome.doubts) process.stderr.write(`warning: ${visible(doubt)}\n`);
  process.stdout.write(`reloaded: ${gateway}\n${changesInWords(outcome.changes)}`);
  if (outcome.changes.restart.length > 0)
    process.stderr.write(`warning: a restart is needed for ${visible(outcome.changes.restart.join(', '))}\n`);
  return EXIT.ok;
}

function changesInWords({ added, changed, removed, kept }: ReloadChanges): string {
  const rows = Object.entries({ added, changed, removed }).flatMap(([what, names]) =>
    names.map((name) => `  ${what} ${visible(name)}\n`),
  );
  return `${rows.length === 0 ? '  nothing has changed\n' : rows.join('')}  kept ${kept} route${kept === 1 ? '' : 's'} and listeners\n`;
}
