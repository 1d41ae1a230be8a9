// Copies what the compiler does not: the pages of src/browser go beside the compiled code, where ops/assets finds them.
import { chmodSync, cpSync } from 'node:fs';

cpSync('src/browser', 'dist/src/browser', { recursive: true, filter: (name) => !/(?<!\.d)\.ts$/.test(name) });
chmodSync('dist/src/main.js', 0o755);
