/** CGI programs (RFC 3875): a program for each request, found below a folder or always the same. */
import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { CgiConfig } from '../config/schema.ts';
import { FileCache } from '../files/cache.ts';
import { type LocatedProgram, locateProgram } from '../files/locate.ts';
import { Refused } from '../files/refused.ts';
import { segmentsOf } from '../files/segments.ts';
import { HttpError } from '../http/errors.ts';
import type { Answer, Body, Call, Handler } from '../http/handler.ts';
import type { Log } from '../ops/log.ts';
import { buildEnvironment } from '../process/environment.ts';
import { findProgram } from '../process/find-program.ts';
import { metaVariables } from '../process/meta-variables.ts';
import type { Program, Programs } from '../process/programs.ts';
import { NoSlot, type Slot, Slots } from '../process/slots.ts';
import { SpawnError } from '../process/spawn.ts';
import { StderrLines } from '../process/stderr.ts';
import { CgiRun, describeExit } from './cgi-run.ts';
import type { Launch } from './launch.ts';
import { asStartError, noRoom } from './start-error.ts';

export interface CgiDeps {
  /** The route's key: says its path, and names it in logs and counts. */
  readonly route: string;
  /** Of runnel. */
  readonly version: string;
  readonly programs: Pick<Programs, 'start' | 'end'>;
  readonly log: Log;
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
    handle: (call) => programs.handle(call),
    drain: () => undefined,
    close: () => programs.close(),
  };
}

/** What is to be started, and how the path divides at it. */
interface Script {
  readonly file: string;
  readonly argv: readonly [string, ...string[]];
  readonly directory: string | undefined;
  readonly scriptName: string;
  readonly pathInfo: string;
}

class CgiPrograms {
  private readonly slots: Slots;
  private readonly running = new Set<Program>();
  /** Where scripts were found within the last second. */
  private readonly found = new FileCache<LocatedProgram>({ maxBytes: 512 * 1024, freshFor: 1000 });
  /** The route's path, decoded, without a slash at its end. */
  private readonly base: string;

  constructor(
    private readonly config: CgiConfig,
    private readonly deps: CgiDeps,
  ) {
    this.slots = new Slots(config.max_processes, config.max_waiting);
    const { route } = deps;
    this.base = segmentsOf(route.slice(route.indexOf('/')))
      .join('/')
      .replace(/\/$/, '');
  }

  async handle(call: Call): Promise<Answer> {
    const script = await this.script(call);
    const slot = this.slots.take(this.config.timeout);
    let leave = (): void => slot.release();
    let left = false;
    call.onAborted(() => {
      left = true;
      leave();
    });
    await slot.ready.catch(asHttpError);
    leave = () => undefined;
    const run = this.run(call, await this.start(call, script, slot));
    leave = () => run.leave();
    // While it was being started nothing could be done about it.
    if (left) run.leave();
    return run.answer;
  }

  async close(): Promise<void> {
    this.slots.close();
    await Promise.all([...this.running].map((program) => this.deps.programs.end(program)));
  }

  /** What serves this path. */
  private async script(call: Call): Promise<Script> {
    const { root, command } = this.config;
    const fixed = this.config.directory;
    if (command !== undefined) {
      const file = this.command(command[0]);
      return { file, argv: command, directory: fixed, scriptName: this.base, pathInfo: this.below(call.rest) };
    }
    if (root === undefined) throw new Error('a CGI route without root and command');
    const found = await this.locate(root, call.rest).catch(asHttpError);
    const scriptName = `${this.base}/${found.script.filter((segment) => segment !== '').join('/')}`;
    // RFC 3875 section 7.2: the current directory is the script's.
    const directory = fixed ?? dirname(found.file);
    return { file: found.file, argv: [found.file], directory, scriptName, pathInfo: found.pathInfo };
  }

  private command(name: string): string {
    try {
      return findProgram(name, this.deps.inherited['PATH'], '/');
    } catch (error) {
      throw asStartError(error);
    }
  }

  /** PATH_INFO of a route with one command: what follows the route's path, from its slash on. */
  private below(rest: string): string {
    if (!this.deps.route.endsWith('/')) return '';
    try {
      return `/${segmentsOf(rest).join('/')}`;
    } catch (error) {
      return asHttpError(error);
    }
  }

  private async locate(root: string, rest: string): Promise<LocatedProgram> {
    const now = performance.now();
    const known = this.found.fresh(rest, now);
    if (known) return known;
    const found = await locateProgram(root, segmentsOf(rest));
    this.found.put(rest, found, found.pathInfo.length, now);
    return found;
  }

  /** Starts the program and gives it its body. The slot is given back when it is over, or was not started. */
  private async start(call: Call, script: Script, slot: Slot): Promise<Program> {
    const { config, deps } = this;
    const { body } = call;
    try {
      const program = await deps.programs.start({
        owner: deps.route,
        file: script.file,
        argv: script.argv,
        env: this.environment(call, script),
        directory: script.directory,
        stdin: stdinFor(body),
        stderr: 'pipe',
        ...deps.launch.options,
      });
      this.running.add(program);
      void program.over.then(() => {
        this.running.delete(program);
        slot.release();
      });
      // A program may leave its input unread: EPIPE is its right, and the spawner hears it.
      program.stdin?.end(body?.bytes);
      return program;
    } catch (error) {
      slot.release();
      // A file of a folder may simply not be meant to be run.
      if (config.root !== undefined && error instanceof SpawnError && error.code === 'EACCES') {
        throw new HttpError(403, 'not executable', { cause: error });
      }
      throw asStartError(error);
    }
  }

  private run(call: Call, program: Program): CgiRun {
    const { config, deps } = this;
    const stderr =
      program.stderr &&
      new StderrLines(program.stderr, {
        line: (text) => deps.log.warn(`stderr: ${text}`, { route: deps.route, pid: program.pid, id: call.id }),
      });
    void program.exited.then((exit) => {
      call.note('exit', exit.signal ?? exit.code);
      if (exit.signal !== undefined || exit.code !== 0) {
        deps.log.debug(`a CGI program ended with ${describeExit(exit)}`, { route: deps.route, id: call.id });
      }
    });
    return new CgiRun({
      program,
      head: call.request.method === 'HEAD',
      timeout: config.timeout,
      totalTimeout: config.total_timeout,
      lastLines: () => stderr?.lastLines ?? [],
      end: () => void deps.programs.end(program),
    });
  }

  private environment(call: Call, script: Script): ReadonlyMap<string, string> {
    const { config, deps } = this;
    const documentRoot = deps.documentRoot ?? config.root;
    const variables = metaVariables(call.request, {
      id: call.id,
      version: deps.version,
      bodyLength: call.body?.length ?? 0,
      scriptName: script.scriptName,
      pathInfo: script.pathInfo,
      pathTranslated: documentRoot === undefined ? undefined : documentRoot + script.pathInfo,
      scriptFilename: script.file,
      documentRoot,
      passAuthorization: config.pass_authorization,
    });
    return buildEnvironment({
      inherited: deps.inherited,
      base: deps.launch.base,
      passEnv: config.pass_env,
      env: config.env,
      variables,
    });
  }
}

function stdinFor(body: Body | undefined): 'pipe' | 'null' | number {
  if (body === undefined || body.length === 0) return 'null';
  return body.descriptor ?? 'pipe';
}

function asHttpError(error: unknown): never {
  if (error instanceof Refused) throw new HttpError(error.status, error.message, { cause: error });
  // 499 is what a client's leaving is called in logs since nginx; nobody is there to get it.
  if (error instanceof NoSlot && error.why === 'left') throw new HttpError(499, 'its client left the line');
  if (error instanceof NoSlot) throw noRoom(error.message, error);
  throw error;
}
