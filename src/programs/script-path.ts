/** How a path is told to a program: SCRIPT_NAME and PATH_INFO, both decoded (RFC 3875 sections 4.1.5 and 4.1.13). */
import { segmentsOf } from '../files/segments.ts';
import type { PathBelow } from '../routing/canonical-path.ts';
import { routeKeyOf } from '../routing/route-key.ts';
import { asStartError } from './start-error.ts';

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
