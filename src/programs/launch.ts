/** How a route's programs are started: what its configuration says, worked out once for all of them. */
import type { ProcessConfig } from '../config/keys/programs.ts';
import type { Log } from '../ops/log.ts';
import { planConfinement, type SystemFacts } from '../process/confinement/confine.ts';
import type { Programs, StartOptions } from '../process/programs.ts';
import { planUnbuffering } from '../process/unbuffer.ts';

export interface Launch {
  /** The same for every start. */
  readonly options: Pick<StartOptions, 'termination' | 'wrapper' | 'pipeOwner' | 'capabilities' | 'stdout'>;
  /** What a program's environment begins with. */
  readonly base: ReadonlyMap<string, string>;
  /** What the route asks for and does not get here: a sentence for the log. */
  readonly shortcoming: string | undefined;
}

/** What the planning goes by. */
export interface LaunchContext {
  readonly system: SystemFacts;
  /** Whether programs can be given pseudo-terminals. Only asked where a route wants one. */
  terminals(): boolean;
}

/** Throws an `Error` for what a check of the configuration would have found: no such user, no right to change to it. */
export function planLaunch(config: ProcessConfig & { readonly unbuffer?: boolean }, context: LaunchContext): Launch {
  const confined = planConfinement(config, context.system);
  if ('problems' in confined)
    throw new Error(confined.problems.map(({ key, message }) => `${key.join('.')}: ${message}`).join('; '));
  const unbuffered = config.unbuffer === true ? planUnbuffering(context.terminals(), context.system.tool) : undefined;
  return {
    options: {
      termination: {
        interruptAfter: config.interrupt_after,
        terminateAfter: config.terminate_after,
        killAfter: config.kill_after,
      },
      // stdbuf comes last, next to the program: it must not reach the tools that confine it.
      wrapper: [...confined.wrapper, ...(unbuffered?.wrapper ?? [])],
      pipeOwner: confined.user,
      capabilities: confined.capabilities,
      stdout: unbuffered?.stdout,
    },
    base: new Map([...confined.environment, ...(unbuffered?.environment ?? [])]),
    shortcoming: unbuffered?.shortcoming,
  };
}

/** The same for a route, at the start of a configuration: what it does not get is logged. */
export function launchOf(
  route: string,
  config: ProcessConfig & { readonly unbuffer?: boolean },
  parts: { readonly system: SystemFacts; readonly programs: Pick<Programs, 'terminals'>; readonly log: Log },
): Launch {
  const { system, programs, log } = parts;
  const launch = planLaunch(config, { system, terminals: () => programs.terminals });
  if (launch.shortcoming !== undefined) log.warn(launch.shortcoming, { route });
  return launch;
}
