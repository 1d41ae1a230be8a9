/** A route's policies as they are when the configuration says nothing of them. */

import type { ProgramLimits, RoutePolicies } from '../../src/config/keys/routes.ts';
import type { Config } from '../../src/gateway/config.ts';
import { readConfig } from '../../src/gateway/config.ts';

/** The configuration that these tables make; fails with its problems. */
export function configOf(table: { readonly [key: string]: unknown }): Config {
  const result = readConfig({ stream: { '/': { command: ['/bin/true'] } }, ...table }, 'test');
  if (!result.ok) throw new Error(result.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  return result.config;
}

export function defaultPolicies(): RoutePolicies & { readonly limits: ProgramLimits } {
  const { limits, cors, cross_site, auth } = configOf({}).defaults;
  return { limits, cors, cross_site, auth };
}
