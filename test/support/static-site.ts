/** A static route on the real gateway, with a listener of each engine, and a client for it. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Running, startGateway } from './gateway.ts';
import { type RawReply, rawRequest } from './raw.ts';

const ENGINES = ['uws', 'node'] as const;

/** One gateway with a listener of each engine; `files` lie in its root. */
export async function serve(
  t: TestContext,
  route: string,
  files: { readonly [path: string]: string | Buffer } = {},
): Promise<Running & { readonly root: string }> {
  const listeners = ENGINES.map((engine) => `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`).join('');
  const config = `${listeners}[static."/"]\nroot = "www"\n${route}`;
  const below = Object.entries(files).map(([name, content]) => [`www/${name}`, content] as const);
  const running = await startGateway(t, { config, files: { 'www/here': '', ...Object.fromEntries(below) } });
  return { ...running, root: join(running.folder, 'www') };
}

/** The same on each engine. */
export async function onBoth(t: TestContext, running: Running, run: (port: number) => Promise<void>): Promise<void> {
  for (const [index, engine] of ENGINES.entries()) await t.test(engine, () => run(running.ports[index] ?? 0));
}

/** A request's fields, besides Host. */
export type Headers = { readonly [name: string]: string };

/** One request on a connection of its own; the path goes out as it is, in UTF-8. */
export function get(port: number, path: string, headers: Headers = {}, method = 'GET'): Promise<RawReply> {
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const path8 = Buffer.from(path).toString('latin1');
  return rawRequest(port, `${method} ${path8} HTTP/1.1\r\nHost: board\r\n${fields.join('')}\r\n`, method);
}

/** What a browser accepts where somebody goes to a page. */
export const BROWSER: Headers = {
  Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8',
};
