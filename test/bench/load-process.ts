/** A load client in a process of its own. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Runs the script `name` beside this one with `order`; each thing that it says is handed to `said`. Rejects when it fails. */
export async function runLoad<R>(name: string, order: object, said: (report: R) => void): Promise<void> {
  const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const child = fork(script, [JSON.stringify(order)], { stdio: ['ignore', 2, 2, 'ipc'] });
  child.on('message', (message) => said(message as R));
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the load client ${name} failed`);
}
