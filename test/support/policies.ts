/** A route's policies as they are when the configuration says nothing of them. */
import { readConfig } from '../../src/config/load.ts';
import type { Config, ProgramLimits, RoutePolicies } from '../../src/config/schema.ts';

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
