/** What programs do, told to the counts and the log. */
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import type { ProgramEvents } from './programs.ts';

/** Feeds the counts and the log from what happens to programs. */
export function programEvents(tallies: Tallies, log: Log): ProgramEvents {
  return {
    started(owner) {
      tallies.processesStarted.add(1, owner);
      tallies.processes.add(1, owner);
    },
    ended(owner, reason, exit) {
      tallies.processes.add(-1, owner);
      tallies.processesEnded.add(1, owner, reason);
      if (reason === 'abandoned') log.error('a program hangs in the kernel and cannot be killed', { route: owner });
      else log.debug('program ended', { route: owner, reason, exit: exit?.signal ?? exit?.code });
    },
    refused: (owner, code) => tallies.processesRefused.add(1, owner, code),
    watchdogLost: (reason) => log.warn(reason),
  };
}
