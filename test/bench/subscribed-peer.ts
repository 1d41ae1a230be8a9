/** A runnel whose stream comes from another one: what an upstream costs beside a program. Only the one that its viewers see is measured. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/ports.ts';
import { MAIN, type Peer, runnel } from './peers.ts';
import { type ServiceOptions, startService } from './service.ts';
import type { Site } from './site.ts';

/** How the other one is asked: an event stream, or a WebSocket. */
export type UpstreamScheme = 'http' | 'ws';

export function subscribed(scheme: UpstreamScheme, program = MAIN): Peer {
  const name = `runnel (uws), subscribed by ${scheme === 'http' ? 'event stream' : 'WebSocket'}`;
  const upstream = runnel('uws');
  const prepare = async (site: Site, address = '127.0.0.1:1'): Promise<ServiceOptions> => {
    const port = await freePort();
    const file = join(site.folder, `runnel-subscribed-${port}.toml`);
    const events = scheme === 'http' ? ', events = ["message"]' : '';
    const lines = [
      `listen = [{ address = "127.0.0.1:${port}", engine = "uws" }]`,
      'log = { level = "error", requests = false }',
      `stream."/watch" = { subscribe = "${scheme}://${address}/watch"${events} }`,
      'connections = { max = 12000 }',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const start: [string, ...string[]] = program.endsWith('.js') ? [process.execPath, program] : [program];
    const env = { NODE_OPTIONS: '--max-semi-space-size=1' };
    return { name, port, folder: site.folder, command: [...start, 'serve', '-c', file], env };
  };
  return {
    name,
    needs: [],
    secure: false,
    prepare,
    async start(site) {
      const other = await upstream.start(site);
      try {
        const service = await startService(await prepare(site, `127.0.0.1:${other.port}`));
        const stop = async (): Promise<void> => {
          await service.stop();
          await other.stop();
        };
        return { ...service, stop };
      } catch (error) {
        await other.stop();
        throw error;
      }
    },
    built: (another, suffix) => ({ ...subscribed(scheme, another), name: `${name}${suffix}` }),
  };
}
