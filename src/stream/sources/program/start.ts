/** Starts a stream's programs: its command, its environment, its stderr into the log. */
import { ProgramSearch } from '../../../process/find-program.ts';
import type { Program } from '../../../process/programs.ts';
import { StderrLines } from '../../../process/stderr.ts';
import { requestEnvironment } from '../../../programs/environment.ts';
import { pathInfo, routeBase } from '../../../programs/script-path.ts';
import { asStartError, noRoom } from '../../../programs/start-error.ts';
import type { SourceParts } from '../kind.ts';
import type { StreamRequest } from './request.ts';

/** The programs of one stream, up to its bound. */
export class StreamPrograms {
  private running = 0;
  /** SCRIPT_NAME */
  private readonly scriptName: string;
  private readonly search: ProgramSearch;

  constructor(
    private readonly command: readonly [string, ...string[]],
    private readonly parts: Pick<SourceParts, 'key' | 'config' | 'log' | 'tallies' | 'programs' | 'launch' | 'version'>,
  ) {
    this.scriptName = routeBase(parts.key);
    this.search = new ProgramSearch(command[0], process.env['PATH'], parts.config.directory ?? process.cwd());
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
    void this.parts.programs.end(program);
  }

  private async launch(asked: StreamRequest): Promise<Program> {
    const { key, config, programs, launch, version, log } = this.parts;
    const { id, request, rest, user, bodyLength = 0, passAuthorization = false } = asked;
    const [name, ...args] = this.command;
    const file = this.search.find();
    const { scriptName } = this;
    const script = { file, scriptName, pathInfo: rest === '' ? '' : pathInfo(key, rest) };
    const program = await programs.start({
      owner: key,
      file,
      argv: [name, ...args],
      env: requestEnvironment(
        request,
        { id, script, bodyLength, user, passAuthorization },
        { version, inherited: process.env, base: launch.base, passEnv: config.pass_env, env: config.env },
      ),
      directory: config.directory,
      stdin: 'pipe',
      stderr: 'pipe',
      ...launch.options,
    });
    if (program.stderr !== undefined && config.stderr === 'log') {
      new StderrLines(program.stderr, {
        line: (text) => log.info(text, { route: key, from: 'stderr', pid: program.pid, id }),
      });
    }
    return program;
  }
}
