/** What a client is answered when what serves its request is not found, does not start or cannot be connected to. */
import { asFileError, Busy, HttpError } from '../http/errors.ts';
import { systemCode } from '../ops/system-errors.ts';
import { TooManyPrograms } from '../process/programs.ts';
import { SpawnError } from '../process/spawn.ts';
import { ConnectError } from '../upstream/connecting.ts';

/** Errors that pass when others have ended; a program that is not there stays away. */
const PASSING: ReadonlySet<string> = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']);
const RETRY_AFTER: readonly (readonly [string, string])[] = [['retry-after', '5']];

/**
 * 503 with Retry-After for want of room, 504 for a server that did not answer in time, 502 for a program that cannot be started or a server
 * that cannot be connected to, the status of a path that is not served; other errors as they are.
 */
export function asStartError(error: unknown): unknown {
  if (error instanceof TooManyPrograms) return noRoom(error.message, error);
  if (error instanceof ConnectError) {
    if (error.passing) return shortage(error.message, error);
    return new HttpError(error.failure === 'timeout' ? 504 : 502, error.message, { cause: error });
  }
  if (error instanceof SpawnError)
    return PASSING.has(error.code) ? shortage(error.message, error) : new HttpError(502, error.message);
  return isPassing(error) ? shortage(`a program cannot be looked for: ${error.message}`, error) : asFileError(error);
}

/** The system's own error, where a program is only looked for. */
function isPassing(error: unknown): error is Error {
  return error instanceof Error && PASSING.has(systemCode(error) ?? '');
}

/** A bound of the configuration is reached. */
export function noRoom(message: string, cause?: unknown): HttpError {
  return new Busy(message, { cause });
}

/** The system, or a server, is short of something now. */
export function shortage(message: string, cause?: unknown): HttpError {
  return new HttpError(503, message, { headers: RETRY_AFTER, cause });
}
