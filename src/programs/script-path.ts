/** How a path is told to a program: SCRIPT_NAME and PATH_INFO, both decoded (RFC 3875 sections 4.1.5 and 4.1.13). */
import { segmentsOf } from '../files/segments.ts';
import type { PathBelow } from '../routing/canonical-path.ts';
import { routeKeyOf } from '../routing/route-key.ts';
import { asStartError } from './start-error.ts';

/** How a path divides at the program that serves it. */
export interface ScriptPath {
  /** The program's file, SCRIPT_FILENAME; undefined where there is none that we know. */
  readonly file: string | undefined;
  /** SCRIPT_NAME: the part of the path that leads to the program, decoded; "" for one at the root. */
  readonly scriptName: string;
  /** PATH_INFO: what follows it, decoded; "" when nothing does. */
  readonly pathInfo: string;
}

/** SCRIPT_NAME's beginning: the route's path, decoded, without a slash at its end. */
export function routeBase(route: string): string {
  return segmentsOf(routeKeyOf(route).path).join('/').replace(/\/$/, '');
}

/** PATH_INFO where one program serves the whole route: what follows the route's path, from its slash on. Throws an `HttpError`. */
export function pathInfo(route: string, rest: PathBelow): string {
  if (!route.endsWith('/')) return '';
  try {
    return `/${segmentsOf(rest).join('/')}`;
  } catch (error) {
    throw asStartError(error);
  }
}
