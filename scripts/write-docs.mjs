// Writes the pages of docs/ that are made from the code. A test fails when they are not up to date.
import { mkdirSync, writeFileSync } from 'node:fs';
import { configJsonSchema } from '../dist/src/config/json-schema.js';
import { configReference } from '../dist/src/config/reference.js';
import { SCHEMA } from '../dist/src/gateway/config.js';
import { ProcessFigures } from '../dist/src/ops/metrics/process-figures.js';
import { metricsReference } from '../dist/src/ops/metrics/reference.js';
import { Tallies } from '../dist/src/ops/tallies.js';

mkdirSync('docs', { recursive: true });
writeFileSync('docs/configuration.md', configReference(SCHEMA));
writeFileSync('docs/runnel.schema.json', `${JSON.stringify(configJsonSchema(SCHEMA), null, 2)}\n`);
writeFileSync('docs/metrics.md', metricsReference(new Tallies().all(), new ProcessFigures().all()));
