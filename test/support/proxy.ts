/** Reverse proxies of Debian in front of the gateway. */
import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';

/** What one of them may take to start or to end. Milliseconds. */
export const PROXY_DEADLINE = 60_000;

/** Runs it until the test's end; nginx's workers go with their master. Gives what it has said so far. */
export function startProxy(
  t: TestContext,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): () => string {
  const proxy = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let noise = '';
  for (const stream of [proxy.stdout, proxy.stderr])
    stream.on('data', (chunk: Buffer) => {
      noise += chunk.toString();
    });
  t.after(async () => {
    const ended = new Promise((resolve) => proxy.once('exit', resolve));
    if (proxy.exitCode !== null || proxy.signalCode !== null) return;
    proxy.kill('SIGTERM');
    const late = setTimeout(() => proxy.kill('SIGKILL'), PROXY_DEADLINE);
    await ended;
    clearTimeout(late);
  });
  return () => noise;
}

/** What `ask` gives, as soon as the proxy listens. */
export async function soon<T>(ask: () => Promise<T>, noise: () => string): Promise<T> {
  const deadline = Date.now() + PROXY_DEADLINE;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`no answer; it said:\n${noise()}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
