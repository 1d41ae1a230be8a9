/** Reverse proxies of Debian in front of the gateway. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
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

/** These programs cannot be given port 0. Nothing else here takes a port just freed. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
