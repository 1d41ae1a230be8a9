/** Configurations for tests, as the gateway would read them. */

import { type Config, readConfig } from '../../src/gateway/config.ts';

/** The configuration that these tables make; fails with its problems. */
export function configOf(table: { readonly [key: string]: unknown }): Config {
  const result = readConfig({ stream: { '/': { command: ['/bin/true'] } }, ...table }, 'test');
  if (!result.ok) throw new Error(result.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  return result.config;
}
