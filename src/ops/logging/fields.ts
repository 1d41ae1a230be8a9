/** The words of the log: its levels, and the fields that its lines have, each with what it means. docs/logs.md is held to this table by a test. */

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = { readonly [key: string]: string | number | boolean | undefined };

/** From the least to the most important, each as syslog and journald number it (RFC 5424 section 6.2.1). */
export const LEVELS: { readonly [level in Level]: { readonly rank: number; readonly severity: number } } = {
  debug: { rank: 0, severity: 7 },
  info: { rank: 1, severity: 6 },
  warn: { rank: 2, severity: 4 },
  error: { rank: 3, severity: 3 },
};
