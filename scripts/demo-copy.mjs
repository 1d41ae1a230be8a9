// Copies the configuration folder and the documentation to `folder`, and lets the demo listen on free ports of this machine alone.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Gives the path of the copied demo.toml. */
export function copyDemo(folder) {
  cpSync('config', join(folder, 'config'), { recursive: true });
  cpSync('dist/site', join(folder, 'dist/site'), { recursive: true });
  const config = join(folder, 'config/demo.toml');
  const text = readFileSync(config, 'utf8');
  writeFileSync(config, text.replaceAll(/^(address|listen) = ".*"/gm, '$1 = "127.0.0.1:0"'));
  return config;
}
