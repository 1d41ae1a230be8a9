/** A program that has a stream as its stdin and stdout. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import type { Session } from '../../client/session.ts';
import { UsageError } from '../verb.ts';
import { type Outcome, relay } from './relay.ts';
import type { ConnectSettings } from './settings.ts';

/** How long a program may go on after the stream has ended, and after it was asked to end; milliseconds. */
const PATIENCE = 5000;

/** How long nothing may come from what a program has left behind, milliseconds. */
const SILENCE = 500;

/** @returns how the stream ended, and the status of the program where that ended first and was not 0 */
export async function runCommand(
  session: Session,
  settings: ConnectSettings,
): Promise<{ readonly outcome: Outcome; readonly status: number | undefined }> {
  const [program = '', ...args] = settings.command;
  try {
    // A program that nobody can talk to is not started.
    await session.open();
  } catch {
    return { outcome: await session.closed.promise.catch((error: Outcome) => error), status: undefined };
  }
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let status: number | undefined;
  const exited = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      session.terminate(error);
      resolve();
    });
    child.once('exit', (code, signal) => {
      status = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
      resolve();
    });
  });
  const started = new Promise<boolean>((resolve) => {
    child.once('spawn', () => resolve(true)).once('error', () => resolve(false));
  });
  if (!(await started)) throw new UsageError(`the command "${program}" cannot be started`);
  void exited.then(() => endWhenSilent(child.stdout));
  let streamEnded = false;
  // What it has written is sent before the stream is closed: its output ends with it.
  child.stdout.once('close', () => void exited.then(() => session.finishReading()));
  const outcome = await relay(session, { input: child.stdout, output: child.stdin, apart: true }, settings).finally(
    () => {
      streamEnded = status === undefined;
    },
  );
  child.stdin.end();
  const timers = [
    setTimeout(() => child.kill('SIGTERM'), PATIENCE),
    setTimeout(() => child.kill('SIGKILL'), 2 * PATIENCE),
  ];
  await exited;
  for (const timer of timers) clearTimeout(timer);
  return { outcome, status: streamEnded || status === 0 ? undefined : status };
}

/**
 * The program has gone, but what it has started holds its stdout. What is in the pipe is still sent; when nothing more comes, it is the end.
 */
function endWhenSilent(output: Readable): void {
  let before = -1;
  const look = setInterval(() => {
    const read = 'bytesRead' in output ? Number(output.bytesRead) : 0;
    if (output.readableLength === 0 && read === before) {
      clearInterval(look);
      output.once('end', () => output.destroy()).push(null);
    }
    before = read;
  }, SILENCE);
  output.once('close', () => clearInterval(look));
}
