/** The address of a listener, for people. */
import type { Listening } from './engine.ts';

/** What a person would type to get there. */
export function listeningUrl(listening: Listening): string {
  if (listening.port === undefined) return listening.name;
  const host = listening.name.slice(0, listening.name.lastIndexOf(':'));
  const typed = host === '' || host === '[::]' || host === '0.0.0.0' ? 'localhost' : host;
  return `${listening.secure ? 'https' : 'http'}://${typed}:${listening.port}/`;
}
