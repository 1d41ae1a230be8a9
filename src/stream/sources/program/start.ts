/** Starts a stream's programs: which, with which environment, and with its stderr in the log. */
import type { Level, Log } from '../../../ops/log.ts';
import { ProgramSearch } from '../../../process/find-program.ts';
import { InterruptedPython, InterruptionNotes } from '../../../process/interrupted-python.ts';
import type { Program } from '../../../process/programs.ts';
import type { Exit } from '../../../process/spawn.ts';
import { StderrLines } from '../../../process/stderr.ts';
import { requestEnvironment } from '../../../programs/environment.ts';
import { reverseLookup } from '../../../programs/reverse-lookup.ts';
import { pathInfo, routeBase } from '../../../programs/script-path.ts';
import type { Script } from '../../../programs/scripts.ts';
import { asStartError, noRoom } from '../../../programs/start-error.ts';
import type { SourceParts } from '../kind.ts';
import type { StreamRequest } from './request.ts';

/** What is started for a client. */
export interface ChosenProgram {
  readonly script: Script;
  readonly argv: readonly [string, ...string[]];
}

/** Which program a client gets. What it throws refuses the client. */
export type ChooseProgram = (asked: StreamRequest) => ChosenProgram | Promise<ChosenProgram>;

/** One command for all. */
export function always(
  command: readonly [string, ...string[]],
  { key, config }: Pick<SourceParts, 'key' | 'config'>,
): ChooseProgram {
  const scriptName = routeBase(key);
  const search = new ProgramSearch(command[0], process.env['PATH'], config.directory ?? process.cwd());
  return ({ rest }) => {
    const file = search.find();
    return { script: { file, scriptName, pathInfo: rest === '' ? '' : pathInfo(key, rest) }, argv: command };
  };
}

/** Whose stderr it is: `id` names the request for which it was started. */
interface StderrOrigin {
  readonly route: string;
  readonly id: string;
  readonly level: Level | undefined;
}

/** @param isEnding whether the program has been told to end; @param interrupted is told in the place of a traceback of Python that only says so */
export function logStderr(
  program: Program,
  log: Log,
  { route, id, level }: StderrOrigin,
  isEnding: () => boolean = () => false,
  interrupted: () => void = () => undefined,
): void {
  if (program.stderr === undefined) return;
  const line = (text: string): void => log[level ?? 'info'](text, { route, from: 'stderr', pid: program.pid, id });
  const filter = new InterruptedPython(isEnding, line, interrupted);
  program.stderrLines = new StderrLines(program.stderr, { line: (text) => filter.take(text) });
  void program.over.then(() => filter.flush());
}

/** A warning for the first failure in a row, the second, the fourth and so on: a loop of them must be seen, and must not fill a disk. */
function isWorthWarning(failures: number): boolean {
  return Number.isInteger(Math.log2(failures));
}

/** The programs of one stream, up to its bound. */
export class StreamPrograms {
  private running = 0;
  /** Programs in a row that have failed by themselves. */
  private failures = 0;
  private readonly interruptions: InterruptionNotes;
  /** Those that we have told to end. */
  private readonly ended = new WeakSet<Program>();

  constructor(
    private readonly choose: ChooseProgram,
    private readonly parts: Pick<SourceParts, 'key' | 'config' | 'log' | 'tallies' | 'programs' | 'launch' | 'version'>,
  ) {
    this.interruptions = new InterruptionNotes(parts.key, parts.log);
  }

  /** Rejects with the `HttpError` that refuses the client. */
  async start(asked: StreamRequest): Promise<Program> {
    const { key, config, tallies } = this.parts;
    if (this.running >= config.max_processes) {
      tallies.processesRefused.add(1, key, 'max');
      throw noRoom(`${this.running} programs of this route are running already (max_processes)`);
    }
    this.running++;
    try {
      const program = await this.launch(asked);
      void program.over.then(() => this.running--);
      return program;
    } catch (error) {
      this.running--;
      throw asStartError(error);
    }
  }

  /** Ends its whole group, if it has not ended. */
  end(program: Program): void {
    this.ended.add(program);
    void this.parts.programs.end(program);
  }

  /** It has ended by itself. */
  private tellEnd({ code, signal }: Exit, pid: number, last: string | undefined): void {
    const { key, log } = this.parts;
    if (code === 0) {
      this.failures = 0;
      return;
    }
    this.failures++;
    const fields = { route: key, exit: signal ?? code, pid, failures: this.failures, last };
    log[isWorthWarning(this.failures) ? 'warn' : 'info']('the program has failed', fields);
  }

  private async launch(asked: StreamRequest): Promise<Program> {
    const { key, config, programs, launch, version, log } = this.parts;
    const { id, request, user, bodyLength = 0, passAuthorization = false } = asked;
    const chosen = this.choose(asked);
    const { script, argv } = chosen instanceof Promise ? await chosen : chosen;
    const remoteHost = config.reverse_lookup ? await reverseLookup(request.remoteAddress) : undefined;
    const program = await programs.start({
      owner: key,
      file: script.file,
      argv,
      env: requestEnvironment(
        request,
        { id, script, bodyLength, user, passAuthorization, remoteHost },
        { version, inherited: process.env, base: launch.base, passEnv: config.pass_env, env: config.env },
      ),
      directory: config.directory,
      stdin: 'pipe',
      stderr: 'pipe',
      ...launch.options,
    });
    // Where clients get it too, it is read when one is there: what flows before would be lost for it.
    if (config.stderr === 'log')
      logStderr(
        program,
        log,
        { route: key, id, level: config.stderr_level },
        () => this.ended.has(program),
        () => this.interruptions.tell(program.pid),
      );
    void program.exited.then((exit) => {
      if (!this.ended.has(program))
        void program.over.then(() => this.tellEnd(exit, program.pid, program.stderrLines?.lastLines.at(-1)));
    });
    return program;
  }
}
