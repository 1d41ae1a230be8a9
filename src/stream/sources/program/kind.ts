/** `command`: a program, for each client or for all. */
import { Held } from '../../../ownership/held.ts';
import type { Program } from '../../../process/programs.ts';
import { largestMessage } from '../../keys.ts';
import { usualHistory, usualReplay } from '../../plan.ts';
import { lossCounter } from '../framed.ts';
import type { SourceKind, SourceParts } from '../kind.ts';
import type { PrivateSources, SourceEvents, StartedSource } from '../source.ts';
import { commandChecks } from './checks.ts';
import { ProgramSource, SilenceHint } from './program.ts';
import { sharedRequest } from './request.ts';
import { SharedProgram } from './shared.ts';
import { always, type ChooseProgram, logStderr, StreamPrograms } from './start.ts';
import { TaggedProgram } from './tagged.ts';
import { WithOrigin } from './with-origin.ts';

export const commandKind: SourceKind = {
  name: 'command',
  checks: commandChecks,
  usualShare: 'client',
  overrun: 'you send faster than the program reads',
  usualReplay,
  usualHistory,
  private: (parts) => privatePrograms(parts, commandOf(parts)),
  shared(parts) {
    const { key, config, plan, counts, log } = parts;
    const { maxQueue } = plan;
    const programs = new StreamPrograms(commandOf(parts), parts);
    const source = programSource(parts, programs);
    return {
      async start(_first, query, events) {
        const asked = sharedRequest(key, query);
        const program = await programs.start(asked);
        const { id } = asked;
        if (config.clients !== 'tagged') return new SharedProgram(source(program, events, id), maxQueue);
        return new TaggedProgram((tagged) => source(program, tagged, id), { counts, log, maxQueue }, events);
      },
    };
  },
};

/** A program for each client. */
export function privatePrograms(parts: SourceParts, choose: ChooseProgram): PrivateSources {
  const programs = new StreamPrograms(choose, parts);
  const source = programSource(parts, programs);
  return {
    async start(call) {
      const program = await programs.start(call);
      const started: StartedSource = (events) => source(program, events, call.id);
      return new Held(started, () => programs.end(program), call.signal);
    },
    close: () => Promise.resolve(),
  };
}

function commandOf(parts: SourceParts): ChooseProgram {
  const { command } = parts.config;
  if (command === undefined) throw new TypeError(`stream "${parts.key}" has no command`);
  return always(command, parts);
}

/** @returns what makes a source of a program that has just been started */
function programSource(
  { key, config, framing, counts, log, programOver }: SourceParts,
  programs: StreamPrograms,
): (program: Program, events: SourceEvents, id: string) => ProgramSource {
  const options = {
    framing,
    maxMessage: largestMessage(config),
    lost: lossCounter(counts, log),
    partialLines: config.partial_lines,
    stderrToClient: config.stderr !== 'log',
    endProgram: (program: Program) => programs.end(program),
    over: programOver,
  };
  const silence = new SilenceHint(key, log);
  return (program, events, id) => {
    const source = new ProgramSource(program, options, config.stderr === 'json' ? new WithOrigin(events) : events);
    if (config.stderr === 'json' || config.stderr === 'event')
      logStderr(program, log, { route: key, id, level: config.stderr_level });
    // Only now: a listener sets stdout flowing, and what flows before the source listens is lost.
    if (!config.unbuffer) silence.watch(program);
    return source;
  };
}
