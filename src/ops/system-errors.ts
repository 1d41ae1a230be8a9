/** Errors of the system: their names, and in words for the person who named a file: one table for every part that reads files. */
import { userInfo } from 'node:os';

/** Completes "X …". `user` is who was refused: "the user runnel". */
export function reasonInWords(code: string, user = thisUser()): string {
  return REASONS[code]?.replace('%', user) ?? `cannot be read (${code})`;
}

const REASONS: { readonly [code: string]: string } = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist: a part of its path is not a folder',
  EACCES: 'may not be read by %',
  EPERM: 'may not be read by %',
  ELOOP: 'is a symbolic link that leads back to itself',
  EISDIR: 'is not a regular file',
  ENAMETOOLONG: 'does not exist: its name is too long',
};

/** The system's name of an error, such as "ENOENT"; undefined where it has none. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** "the user runnel": the effective one, with its number where it has no name. */
export function thisUser(): string {
  try {
    return `the user ${userInfo().username}`;
  } catch {
    return `the user ${process.geteuid?.() ?? 0}`;
  }
}
