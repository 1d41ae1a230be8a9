/** A poll's target that is a command: what it prints until it ends is the answer, and an exit status other than 0 is none. */

import { type HeaderList, headerValue } from '../../../engine/engine.ts';
import { HttpError } from '../../../http/errors.ts';
import { Deferred } from '../../../ownership/deferred.ts';
import { Held } from '../../../ownership/held.ts';
import { untilAborted } from '../../../ownership/until-aborted.ts';
import type { Program } from '../../../process/programs.ts';
import type { Exit, Output } from '../../../process/spawn.ts';
import { StderrLines } from '../../../process/stderr.ts';
import { type StreamRequest, sharedRequest } from '../program/request.ts';
import type { StreamPrograms } from '../program/start.ts';
import { type PollAnswer, PollFailure, type PollRequest, type PollTarget, tooLarge } from './target.ts';

/** How long the stderr of a program that has failed may take to its end: something that it left behind can hold it open. Milliseconds. */
const AFTER_FAILURE = 500;

export interface PollCommandParts {
  /** The stream's key. */
  readonly key: string;
  readonly programs: Pick<StreamPrograms, 'start' | 'end'>;
  /** The user of this channel, where each user has an answer of his own. */
  readonly user: StreamRequest['user'];
  /** What every request has: credentials, where viewers share them. */
  readonly headers: HeaderList;
}

export function pollCommand(parts: PollCommandParts): PollTarget {
  return { ask: (request) => askCommand(parts, request), close: () => undefined };
}

async function askCommand(parts: PollCommandParts, asked: PollRequest): Promise<PollAnswer> {
  const { signal, body, maxBytes } = asked;
  signal.throwIfAborted();
  const program = await startProgram(parts, asked);
  const giveUp = (): void => {
    // What it still prints is thrown away, so that it does not block on it until it is ended.
    program.stdout.resume();
    parts.programs.end(program);
  };
  const held = new Held(program, giveUp, signal);
  const stderr = program.stderr === undefined ? undefined : new StderrLines(program.stderr, { line: () => undefined });
  program.stderrLines = stderr;
  try {
    const whole = wholeOutput(program.stdout, maxBytes);
    program.stdin?.end(body);
    const [exit, output] = await untilAborted(Promise.all([program.exited, whole]), signal);
    if (exit.code !== 0 && program.stderr !== undefined) await untilAborted(lastWords(program.stderr), signal);
    held.take();
    if (exit.code !== 0) throw failed(exit, stderr?.lastLines ?? []);
    return { status: 200, headers: [], body: output };
  } finally {
    held.giveBack();
  }
}

/** Rejects with a `PollFailure` as soon as it is too large. */
function wholeOutput(stdout: Output, maxBytes: number): Promise<Buffer> {
  const whole = new Deferred<Buffer>();
  const pieces: Buffer[] = [];
  let length = 0;
  stdout.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > maxBytes) whole.reject(tooLarge(undefined, maxBytes));
    else pieces.push(chunk);
  });
  stdout.once('close', () => whole.resolve(Buffer.concat(pieces, length)));
  return whole.promise;
}

async function startProgram(parts: PollCommandParts, asked: PollRequest): Promise<Program> {
  const { id, request, rest } = sharedRequest(parts.key, asked.query);
  const headers = [...parts.headers, ...asked.headers];
  const length = asked.body?.length ?? 0;
  const own: HeaderList = length === 0 ? headers : [...headers, ['content-length', String(length)]];
  try {
    return await parts.programs.start({
      id,
      rest,
      request: { ...request, method: asked.method, headers: own },
      user: parts.user,
      bodyLength: length,
      passAuthorization: headerValue(parts.headers, 'authorization') !== undefined,
    });
  } catch (error) {
    if (error instanceof HttpError)
      throw new PollFailure('it cannot be started', {
        status: error.status,
        headers: error.headers,
        detail: error.message,
      });
    throw error;
  }
}

/** What it said last may still be in the pipe. */
function lastWords(stderr: Output): Promise<void> {
  if (stderr.closed) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, AFTER_FAILURE);
    stderr.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function failed(exit: Exit, lastLines: readonly string[]): PollFailure {
  const how = exit.signal === undefined ? `exit ${exit.code}` : `signal ${exit.signal}`;
  const said = lastLines.length === 0 ? {} : { detail: `last lines of stderr: ${lastLines.join(' | ')}` };
  return new PollFailure(`it failed (${how})`, said);
}
