/** Starts a stream's program for one client: its command, its environment, its stderr into the log. */

import type { Request } from '../../../engine/engine.ts';
import type { Log } from '../../../ops/log.ts';
import type { User } from '../../../policy/auth/auth.ts';
import { findProgram } from '../../../process/find-program.ts';
import type { Program, Programs } from '../../../process/programs.ts';
import { StderrLines } from '../../../process/stderr.ts';
import { requestEnvironment } from '../../../programs/environment.ts';
import type { Launch } from '../../../programs/launch.ts';
import { pathInfo, routeBase } from '../../../programs/script-path.ts';
import { asStartError } from '../../../programs/start-error.ts';
import { NOTHING_BELOW, type PathBelow } from '../../../routing/canonical-path.ts';
import { routeKeyOf } from '../../../routing/route-key.ts';
import type { StreamConfig } from '../../keys.ts';

export interface StreamProgramParts {
  readonly log: Log;
  readonly programs: Programs;
  readonly version: string;
  readonly launch: Launch;
}

/** For whom a program is started: a call, or what stands for all the clients of a shared stream. */
export interface StreamRequest {
  readonly id: string;
  readonly request: Request;
  readonly rest: PathBelow;
  readonly user?: User | undefined;
  /** Bytes that it will find on stdin, where that is known. */
  readonly bodyLength?: number;
  readonly passAuthorization?: boolean;
}

/** A request that is nobody's: what the program of a shared stream is told. */
export function sharedRequest(key: string, query: string): StreamRequest {
  const { path } = routeKeyOf(key);
  const listener = { name: '', secure: false, port: undefined };
  const request: Request = {
    method: 'GET',
    path,
    query: query === '' ? undefined : query,
    version: '1.1',
    headers: [],
    remoteAddress: '',
    remotePort: undefined,
    listener,
  };
  return { id: key, request, rest: NOTHING_BELOW };
}

/** @returns what starts one; rejects with an `HttpError` that says why it cannot. */
export function streamProgram(
  key: string,
  config: StreamConfig,
  parts: StreamProgramParts,
): (asked: StreamRequest) => Promise<Program> {
  const command = config.command ?? (typeof config.poll === 'string' ? undefined : config.poll);
  const base = routeBase(key);

  return async ({ id, request, rest, user, bodyLength = 0, passAuthorization = false }) => {
    if (command === undefined) throw new TypeError(`stream "${key}" has no command`);
    const [name, ...args] = command;
    try {
      const file = findProgram(name, process.env['PATH'], config.directory ?? process.cwd());
      const script = { file, scriptName: base, pathInfo: rest === '' ? '' : pathInfo(key, rest) };
      const program = await parts.programs.start({
        owner: key,
        file,
        argv: [name, ...args],
        env: requestEnvironment(
          request,
          { id, script, bodyLength, user, passAuthorization },
          {
            version: parts.version,
            inherited: process.env,
            base: parts.launch.base,
            passEnv: config.pass_env,
            env: config.env,
          },
        ),
        directory: config.directory,
        stdin: 'pipe',
        stderr: 'pipe',
        ...parts.launch.options,
      });
      if (program.stderr !== undefined && config.stderr === 'log') {
        new StderrLines(program.stderr, {
          line: (text) => parts.log.info(text, { route: key, from: 'stderr', pid: program.pid, id }),
        });
      }
      return program;
    } catch (error) {
      throw asStartError(error);
    }
  };
}
