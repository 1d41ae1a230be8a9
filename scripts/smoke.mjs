// Starts the single executables somewhere else than where they were built, with the demo's configuration, and looks whether
// they serve: page, CGI program, stream, metrics, TLS, a reload; whether they ignore what could turn them against themselves; and whether they stop
// cleanly.
//
//   node scripts/smoke.mjs [place …]       without one: x64
//   node scripts/smoke.mjs hostile         where add-ons are hard to load, and under attack; as root
//   node scripts/smoke.mjs --all           every place of scripts/smoke/places.mjs, and hostile
import { hostile } from './smoke/hostile.mjs';
import { PLACES } from './smoke/places.mjs';
import { smoke } from './smoke/suite.mjs';

const named = process.argv.slice(2);
const wanted =
  named.length === 0
    ? ['x64']
    : named.includes('--all')
      ? Object.keys(PLACES)
      : named.filter((name) => name !== 'hostile');
for (const name of wanted) {
  if (!Object.hasOwn(PLACES, name)) {
    console.error(`no place ${name}; there are ${Object.keys(PLACES).join(', ')}`);
    process.exit(2);
  }
}
let failed = 0;
for (const name of wanted) {
  const started = performance.now();
  const { tries } = PLACES[name];
  let passed = false;
  for (let turn = 1; turn <= tries && !passed; turn += 1) {
    console.log(`--- ${name}${turn === 1 ? '' : `, try ${turn} of ${tries}`}`);
    try {
      await smoke(PLACES[name]);
      passed = true;
    } catch (error) {
      console.error(`${name}: failed: ${error.stack}`);
    }
  }
  if (passed) console.log(`${name}: passed in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  else failed += 1;
}
if (named.includes('--all') || named.includes('hostile')) {
  try {
    console.log('--- hostile');
    await hostile(PLACES.x64.executable);
  } catch (error) {
    console.error(`hostile: failed: ${error.stack}`);
    failed += 1;
  }
}
process.exitCode = failed === 0 ? 0 : 1;
