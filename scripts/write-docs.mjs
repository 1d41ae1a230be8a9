// Writes the pages of docs/ that are made from the code. A test fails when they are not up to date.
import { mkdirSync, writeFileSync } from 'node:fs';
import { configJsonSchema } from '../dist/src/config/json-schema.js';
import { configReference } from '../dist/src/config/reference.js';
import { SCHEMA } from '../dist/src/gateway/config.js';

mkdirSync('docs', { recursive: true });
writeFileSync('docs/configuration.md', configReference(SCHEMA));
writeFileSync('docs/runnel.schema.json', `${JSON.stringify(configJsonSchema(SCHEMA), null, 2)}\n`);
