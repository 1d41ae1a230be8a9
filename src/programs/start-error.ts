/** What a client is answered when a program cannot be started for it. */
import { HttpError } from '../http/errors.ts';
import { TooManyPrograms } from '../process/programs.ts';
import { SpawnError } from '../process/spawn.ts';

/** Errors that pass when others have ended; a program that is not there stays away. */
const PASSING: ReadonlySet<string> = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']);
const RETRY_AFTER: readonly (readonly [string, string])[] = [['retry-after', '5']];

/** 503 with Retry-After for want of room, 502 for a program that cannot be started at all; other errors as they are. */
export function asStartError(error: unknown): unknown {
  if (error instanceof TooManyPrograms) return noRoom(error.message, error);
  if (isPassing(error)) return noRoom(`a program cannot be looked for: ${error.message}`, error);
  if (!(error instanceof SpawnError)) return error;
  return PASSING.has(error.code) ? noRoom(error.message, error) : new HttpError(502, error.message);
}

/** The system's own error, where a program is only looked for. */
function isPassing(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof SpawnError) && 'code' in error && PASSING.has(String(error.code));
}

export function noRoom(message: string, cause?: unknown): HttpError {
  return new HttpError(503, message, { headers: RETRY_AFTER, cause });
}
