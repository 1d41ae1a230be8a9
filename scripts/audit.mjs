// Asks the npm registry for known holes in what is shipped, pinned by package-lock.json. A finding is a failure (1); a registry that
// does not answer the question is none, but nothing was looked at then, which it says (77).
import { spawnSync } from 'node:child_process';

const { stdout, error } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8', timeout: 120_000 });
const answer = parsed(stdout);
const found = answer?.vulnerabilities;
if (found === undefined) {
  const reason = answer?.message ?? answer?.error?.summary ?? error?.message ?? 'npm audit gave no answer';
  console.log(`SKIPPED, nothing was looked at: ${reason}`);
  process.exit(77);
}
for (const [name, { severity, range, via }] of Object.entries(found)) {
  const titles = via.map((entry) => (typeof entry === 'string' ? `by ${entry}` : `${entry.title} (${entry.url})`));
  console.log(`${severity}: ${name} ${range}: ${titles.join('; ')}`);
}
const count = Object.keys(found).length;
console.log(count === 0 ? 'nothing is known against what is shipped' : `${count} packages with known holes`);
process.exit(count === 0 ? 0 : 1);

function parsed(text) {
  try {
    // Warnings may stand before the object.
    return JSON.parse(text.slice(text.indexOf('{')));
  } catch {
    return undefined;
  }
}
