// Runs the compiled tests with node:test: all of them, or those whose path contains one of the arguments.
// A list of files and not a glob, because Node 20 does not expand globs. In CI (CI=true) a skipped test is a failure.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** What one file may take at most, in milliseconds, on a machine that does much else; then it is ended and named as failed. */
const FILE_TIMEOUT = Number(process.env.RUNNEL_TEST_TIMEOUT ?? 600_000);

function testsBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return testsBelow(path);
    return entry.name.endsWith('.test.js') ? [path] : [];
  });
}

if (!existsSync('dist/test')) {
  console.error('there are no compiled tests in dist/test: npm run build makes them');
  process.exit(1);
}
const wanted = process.argv.slice(2);
const files = testsBelow('dist/test').filter(
  (file) => wanted.length === 0 || wanted.some((part) => file.includes(part)),
);
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(1);
}

const failed = [];
const skipped = [];
const results = run({
  files: files.sort().map((file) => join(process.cwd(), file)),
  concurrency: 2,
  timeout: FILE_TIMEOUT,
});
const isSet = (directive) => directive !== undefined && directive !== false;
results.on('test:pass', (data) => {
  if (isSet(data.skip) || isSet(data.todo)) skipped.push(data.name);
});
results.on('test:fail', (data) => (isSet(data.todo) ? skipped : failed).push(data.name));
results.on('end', () => {
  // Behind the reporter's last lines.
  process.on('exit', () => {
    const strict = ['1', 'true'].includes(process.env.CI ?? '');
    if (skipped.length > 0)
      console.log(`skipped or to do${strict ? ', which fails in CI' : ''}: ${skipped.join('; ')}`);
    if (failed.length > 0 || (strict && skipped.length > 0)) process.exitCode = 1;
  });
});
results.compose(new spec()).pipe(process.stdout);
