/** CGI programs (RFC 3875): a program for each request, found below a folder or always the same. */
import { dirname } from 'node:path';
import { HttpError, NothingHere } from '../../http/errors.ts';
import { type Answer, type Body, type Call, type Handler, TO_FOLDER } from '../../http/handler.ts';
import type { Log } from '../../ops/log.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { ProgramSearch } from '../../process/find-program.ts';
import { InterruptedPython, InterruptionNotes } from '../../process/interrupted-python.ts';
import type { Program, Programs } from '../../process/programs.ts';
import { type Exit, SpawnError } from '../../process/spawn.ts';
import { StderrLines } from '../../process/stderr.ts';
import { type RouteEnvironment, requestEnvironment } from '../../programs/environment.ts';
import type { Launch } from '../../programs/launch.ts';
import { pathInfo, routeBase } from '../../programs/script-path.ts';
import { type Script, Scripts } from '../../programs/scripts.ts';
import { asStartError } from '../../programs/start-error.ts';
import { ConcurrencyLimit } from './concurrency-limit.ts';
import type { CgiConfig } from './keys.ts';
import { CgiRun, type ResponderEnd } from './run.ts';
import type { Permit } from './semaphore.ts';

export interface CgiDeps {
  /** The route's key: says its path, and names it in logs and counts. */
  readonly route: string;
  /** Of runnel. */
  readonly version: string;
  readonly programs: Pick<Programs, 'start' | 'end'>;
  readonly log: Log;
  readonly tallies: Pick<Tallies, 'busy'>;
  readonly launch: Launch;
  /** The gateway's own environment. */
  readonly inherited: Readonly<NodeJS.ProcessEnv>;
  /** DOCUMENT_ROOT: where the gateway's pages are, if it has any. The route's own root when undefined. */
  readonly documentRoot: string | undefined;
}

/** Serves the programs below `config.root`, or `config.command` for everything. */
export function cgiHandler(config: CgiConfig, deps: CgiDeps): Handler {
  const programs = new CgiPrograms(config, deps);
  return {
    kind: 'cgi',
    methods: undefined,
    takesBody: true,
    crossSite: 'open',
    handle: (call) => programs.handle(call),
    retire: () => undefined,
    close: () => programs.close(),
  };
}

/** What is to be started for a request. */
interface Command {
  readonly script: Script;
  /** The program itself, or what interprets it. */
  readonly program: string;
  readonly argv: readonly [string, ...string[]];
}

class CgiPrograms {
  private readonly limit: ConcurrencyLimit;
  private readonly running = new Set<Program>();
  private readonly scripts: Scripts | undefined;
  /** For the command, or for each interpreter, by its name. */
  private readonly searches = new Map<string, ProgramSearch>();
  private readonly environment: RouteEnvironment;
  private readonly interruptions: InterruptionNotes;
  private closing = false;
  /** Longest extension first, so that ".cgi.pl" comes before ".pl". */
  private readonly interpreters: readonly (readonly [extension: string, program: string])[];

  constructor(
    private readonly config: CgiConfig,
    private readonly deps: CgiDeps,
  ) {
    const { route, tallies, log } = deps;
    const { root, index, max_processes: max, max_waiting: maxWaiting, queue_timeout: timeout } = config;
    this.interruptions = new InterruptionNotes(route, log);
    this.environment = {
      version: deps.version,
      documentRoot: deps.documentRoot ?? config.root,
      // A copy, because `process.env` asks the C library each time.
      inherited: { ...deps.inherited },
      base: deps.launch.base,
      passEnv: config.pass_env,
      env: config.env,
    };
    this.limit = new ConcurrencyLimit({ route, tallies, max, maxWaiting, timeout });
    this.scripts = root === undefined ? undefined : new Scripts(root, route, index);
    this.interpreters = [...config.interpreters].sort(([a], [b]) => b.length - a.length);
  }

  async handle(call: Call): Promise<Answer> {
    const { scripts } = this;
    const found = scripts?.find(call.rest);
    const script = found instanceof Promise ? await found.catch(this.missing) : found;
    if (scripts !== undefined && script === undefined) return TO_FOLDER;
    const command = script === undefined ? this.fixedCommand(call) : this.scriptCommand(script);
    return await this.limit.answer(call, async (permit) => this.run(call, await this.start(call, command, permit)));
  }

  /** What there is no program for may be for the next route. */
  private readonly missing = (error: unknown): never => {
    const isMissing = error instanceof HttpError && (error.status === 404 || error.status === 403);
    throw this.config.pass_missing && isMissing ? new NothingHere(error) : error;
  };

  async close(): Promise<void> {
    this.closing = true;
    this.limit.close();
    await Promise.all([...this.running].map((program) => this.deps.programs.end(program)));
  }

  private fixedCommand(call: Call): Command {
    const { command } = this.config;
    if (command === undefined) throw new Error('a CGI route without root and command');
    const file = this.find(command[0]);
    const { route } = this.deps;
    const script = { file, scriptName: routeBase(route), pathInfo: pathInfo(route, call.rest) };
    return { script, program: file, argv: command };
  }

  private scriptCommand(script: Script): Command {
    const { file } = script;
    const interpreter = this.interpreters.find(([extension]) => file.endsWith(extension))?.[1];
    if (interpreter === undefined) return { script, program: file, argv: [file] };
    return { script, program: this.find(interpreter), argv: [interpreter, file] };
  }

  private find(program: string): string {
    let search = this.searches.get(program);
    if (search === undefined) {
      search = new ProgramSearch(program, this.environment.inherited?.['PATH'], '/');
      this.searches.set(program, search);
    }
    try {
      return search.find();
    } catch (error) {
      throw asStartError(error);
    }
  }

  /** Starts the program and gives it its body. The permit is given back when it is over, or was not started. */
  private async start(call: Call, command: Command, permit: Permit): Promise<Program> {
    const { config, deps } = this;
    const { body } = call;
    try {
      const program = await deps.programs.start({
        owner: deps.route,
        file: command.program,
        argv: command.argv,
        env: requestEnvironment(
          call.request,
          {
            id: call.id,
            script: command.script,
            bodyLength: body?.length ?? 0,
            user: call.user,
            passAuthorization: config.pass_authorization,
          },
          this.environment,
        ),
        // RFC 3875 section 7.2: the current directory is the script's.
        directory: config.directory ?? dirname(command.script.file),
        stdin: stdinFor(body),
        stderr: 'pipe',
        brief: true,
        ...deps.launch.options,
      });
      this.running.add(program);
      void program.over.then(() => {
        this.running.delete(program);
        permit.release();
      });
      // A program may leave its input unread: EPIPE is its right, and the spawner hears it.
      program.stdin?.end(body?.bytes);
      return program;
    } catch (error) {
      permit.release();
      // A file of a folder may simply not be meant to be run.
      if (config.root !== undefined && command.program === command.script.file && isNotExecutable(error)) {
        throw new HttpError(403, 'the file is not executable: chmod +x makes it a program', { cause: error });
      }
      throw asStartError(error);
    }
  }

  private run(call: Call, program: Program): CgiRun {
    const { config, deps } = this;
    // Not of one whose time is over: there the traceback says where it hangs.
    const isUnwanted = (): boolean => this.closing || call.signal.aborted;
    const filter = new InterruptedPython(
      isUnwanted,
      (text) =>
        deps.log[config.stderr_level ?? 'warn'](text, {
          route: deps.route,
          from: 'stderr',
          pid: program.pid,
          id: call.id,
        }),
      () => this.interruptions.tell(program.pid),
    );
    const stderr = program.stderr && new StderrLines(program.stderr, { line: (text) => filter.take(text) });
    program.stderrLines = stderr;
    void program.over.then(() => filter.flush());
    const ended = program.exited.then(endOf);
    void program.exited.then((exit) => call.note('exit', exit.signal ?? exit.code));
    return new CgiRun({
      what: 'a CGI program',
      responder: { stdout: program.stdout, stderr: program.stderr, ended, over: program.over },
      head: call.request.method === 'HEAD',
      timeout: call.patience ?? config.timeout,
      totalTimeout: call.patience ?? config.total_timeout,
      lastLines: () => stderr?.lastLines ?? [],
      end: () => void deps.programs.end(program),
    });
  }
}

function stdinFor(body: Body | undefined): 'pipe' | 'null' | number {
  if (body === undefined || body.length === 0) return 'null';
  return body.descriptor ?? 'pipe';
}

function isNotExecutable(error: unknown): boolean {
  return error instanceof SpawnError && error.code === 'EACCES';
}

function endOf(exit: Exit): ResponderEnd {
  return exit.signal === undefined
    ? { how: `exit ${exit.code}`, cut: false }
    : { how: `signal ${exit.signal}`, cut: true };
}
