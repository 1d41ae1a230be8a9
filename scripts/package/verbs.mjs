// The commands as src/cli has them, `serve` first.
import { readdirSync } from 'node:fs';

const FOLDER = new URL('../../dist/src/cli/', import.meta.url);

/** Every export of the compiled src/cli that is a command. Needs `npm run build`. */
export async function readVerbs() {
  const found = new Map();
  for (const file of readdirSync(FOLDER, { recursive: true })
    .filter((name) => name.endsWith('.js'))
    .sort()) {
    for (const value of Object.values(await import(new URL(file, FOLDER).href)))
      if (typeof value === 'object' && typeof value?.usage === 'string' && typeof value.run === 'function')
        found.set(value.name, value);
  }
  return [...found.values()].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

function rank({ name }) {
  return ['serve', 'check', 'run'].indexOf(name) + 1 || 9;
}
