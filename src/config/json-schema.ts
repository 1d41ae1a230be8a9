/** The configuration's JSON Schema, with which editors complete and check a runnel.toml (Taplo, Even Better TOML). */

import type { Schema } from './schema.ts';
import type { JsonSchema } from './values/value.ts';

/** Draft 7: what TOML editors understand. */
export function configJsonSchema({ root }: Schema): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'runnel.toml',
    description: 'The configuration of runnel, an edge gateway.',
    ...root.json,
  };
}
